"""What an operator sees of a runtime: metrics and logs without anybody's data, and traces to the end."""

import http.server
import json
import queue
import re
import threading
import urllib.error
import urllib.request

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from .conftest import FLOW, Dev, until

KIND = "com.example.signed_up"
CANARIES = {
    "address": "canary.person@private.example",
    "name": "Canaria Person",
    "body": "WORDS-OF-A-BODY",
    "token": "TOKEN-OF-A-PRODUCER",
}
FLOWS = (
    FLOW.replace("Hi **", f"{CANARIES['body']} **")
    + """
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: broken}
spec:
  trigger: {types: [com.example.signed_up]}
  steps: [{name: broken, send: {templateRef: {name: broken}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: broken}
spec: {subject: "{{ event.data.name }}", markdown: "{{ event.data.missing }}"}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: failing}
spec:
  trigger: {types: [com.example.signed_up], key: "event.data.name.missing"}
  steps: [{name: hello, send: {templateRef: {name: hello}}}]
"""
)

HELLO = "{templateRef: {name: hello}"
PROVIDER = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: other}
spec: {type: Smtp, smtp: {host: mx.example.com}, from: {address: shop@example.com}}
"""


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes OTLP over HTTP, as any collector does."""

    spans: "queue.Queue[object]" = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.put(span)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def collector():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        Collector.spans = queue.Queue()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def make_dev(tmp_path):
    running = []

    def make(*options):
        folder = tmp_path / "manifests"
        folder.mkdir()
        (folder / "flow.yaml").write_text(FLOWS)
        dev = Dev(folder, tmp_path / "state")
        dev.options = options
        dev.start()
        running.append(dev)
        return dev

    yield make
    for dev in running:
        dev.close()


def post(dev, event_id, **headers):
    """A producer's event with canaries; the status."""
    data = {"name": CANARIES["name"], "email": CANARIES["address"]}
    request = urllib.request.Request(f"{dev.url}/events", data=json.dumps(data).encode())
    attributes = {"ce-specversion": "1.0", "ce-type": KIND, "ce-source": "/test", "ce-id": event_id}
    for name, value in {**attributes, "content-type": "application/json", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    request.add_header("authorization", f"Bearer {CANARIES['token']}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def scrape(dev):
    with urllib.request.urlopen(f"{dev.url}/metrics", timeout=20) as answer:
        return answer.read().decode()


def samples(text):
    """Samples by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def count(dev, name, **labels):
    return samples(scrape(dev)).get((f"emailflow_{name}", *sorted(labels.items())), 0)


def test_metrics_tell_of_events_mails_and_dead_letters(make_dev):
    dev = make_dev()

    assert post(dev, "1") == 202
    assert post(dev, "2", ce_time="yesterday") == 400
    assert post(dev, "3", ce_type="dev.emailflow.message.clicked") == 400

    accepted = {"outcome": "accepted", "provider": "default", "reason": ""}
    assert until(lambda: count(dev, "mails_total", **accepted) == 1)
    assert until(lambda: sum(v for k, v in samples(scrape(dev)).items() if "dead_letters_total" in k[0]) == 2)
    assert count(dev, "events_accepted_total") == 1
    assert count(dev, "events_refused_total", reason="InvalidAttribute") == 1
    assert count(dev, "events_refused_total", reason="ReservedType") == 1
    assert count(dev, "mail_latency_seconds_count", provider="default") == 1
    assert count(dev, "flow_mails_total", flow="default/hello", outcome="accepted") == 1
    assert count(dev, "commit_seconds_count") > 0
    assert count(dev, "render_seconds_count", result="rendered") == 1
    assert count(dev, "shard_owned", shard="0") == 1
    assert count(dev, "nats_connected") == 1
    assert until(lambda: count(dev, "relay_backlog_facts", shard="0") == 0)
    lags = {dict(key[1:])["flow"] for key in samples(scrape(dev)) if key[0] == "emailflow_flow_lag_events"}
    assert lags == {"default/hello", "default/broken", "default/failing"}


def test_a_provider_that_is_gone_is_shown_no_longer(make_dev):
    dev = make_dev()
    (dev.folder / "provider.yaml").write_text(PROVIDER)
    flows = (dev.folder / "flow.yaml").read_text()
    (dev.folder / "flow.yaml").write_text(flows.replace(HELLO, f"{HELLO}, providerRef: {{name: other}}"))
    numbers = iter(range(1000))

    def shown():
        assert post(dev, str(next(numbers))) == 202
        return 'emailflow_provider_up{provider="other"} 1.0' in scrape(dev)

    assert until(shown)
    (dev.folder / "flow.yaml").write_text(flows)
    (dev.folder / "provider.yaml").unlink()

    assert until(lambda: 'provider="other"' not in scrape(dev))


def test_nobody_s_data_is_in_logs_and_metrics(make_dev):
    dev = make_dev("--log-format", "json", "--verbose")

    assert post(dev, "1") == 202
    assert post(dev, "2", ce_time="yesterday") == 400
    assert until(lambda: f"Hello {CANARIES['name']}" in dev.subjects())
    assert until(lambda: sum(v for k, v in samples(scrape(dev)).items() if "dead_letters_total" in k[0]) == 2)
    metrics = scrape(dev)
    mail = dev.mails()[0]["MessageID"].strip("<>").partition("@")[0]
    assert mail
    assert dev.stop() == 0

    log = dev.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert len(lines) > 3
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert {what: text for what, text in CANARIES.items() if text in log} == {}
    assert {what: text for what, text in CANARIES.items() if text in metrics} == {}
    assert mail not in metrics
    # An address that nobody thought of is one, too. The nats-server's and the door's own have no domain.
    assert re.findall(r"[\w.]+@[\w.]+\.\w+", log + metrics) == []


def test_a_trace_goes_from_the_producer_to_the_provider_s_answer(make_dev, collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    dev = make_dev()
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

    assert post(dev, "1", ce_traceparent=f"00-{trace}-{parent}-01") == 202
    assert post(dev, "2") == 202

    found = {}
    while not {"accept", "decide", "render", "hand over"} <= found.keys():
        span = Collector.spans.get(timeout=30)
        found[span.name] = span
    assert {span.trace_id.hex() for span in found.values()} == {trace}
    assert {span.parent_span_id.hex() for span in found.values()} == {parent}
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano for span in found.values())
    attributes = {each.key: each.value.string_value for each in found["hand over"].attributes}
    assert attributes["emailflow.flow"] == "default/hello"
    assert attributes["emailflow.outcome"] == "Accepted"
    everything = b"".join(span.SerializeToString() for span in found.values())
    assert [what for what, text in CANARIES.items() if text.encode() in everything] == []
