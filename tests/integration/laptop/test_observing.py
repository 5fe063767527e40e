"""What an operator sees of a runtime: metrics and logs without anybody's data, and traces to the end."""

import asyncio
import http.server
import json
import queue
import re
import socketserver
import threading
import urllib.error
import urllib.request

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect

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

SMTP = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: default, annotations: {{emailflow.dev/deliver: "true"}}}}
spec:
  type: Smtp
  smtp: {{host: 127.0.0.1, port: {port}, tls: None}}
  from: {{address: shop@example.com}}
"""
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


class Quoting(socketserver.StreamRequestHandler):
    """An SMTP server that refuses mails, as the recipient's name asks, and repeats to whom they are."""

    answers = {
        "refused": "550 5.1.1 <{to}>: Recipient address rejected: {body}",
        "later": "451 4.2.0 <{to}>: greylisted: {body}",
        "full": "552 5.2.2 mailbox of <{to}> is full: {body}",
        "closing": "421 4.7.0 <{to}>: too many mails to you: {body}",
    }

    def say(self, line):
        self.wfile.write(f"{line}\r\n".encode())

    def handle(self):
        self.say("220 mx.example.com")
        to = ""
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            refusal = self.answers.get(to.partition("@")[0].rpartition(".")[2])
            if word == "RCPT":
                to = line.partition("<")[2].partition(">")[0]
                kind = to.partition("@")[0].rpartition(".")[2]
                early = self.answers.get(kind) if kind != "full" else None
                self.say(early.format(to=to, body=CANARIES["body"]) if early else "250 OK")
            elif word == "DATA":
                self.say("354 go on")
                while self.rfile.readline() not in {b".\r\n", b""}:
                    pass
                if "vanishing" in to:
                    return
                self.say(refusal.format(to=to, body=CANARIES["body"]) if refusal else f"250 OK {to}")
            elif word == "QUIT":
                self.say(f"221 goodbye {to}")
                return
            else:
                self.say("250 OK")


@pytest.fixture
def quoting():
    """The port of such a server."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Quoting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def make_dev(tmp_path):
    running = []

    def make(*options, **more):
        folder = tmp_path / "manifests"
        folder.mkdir()
        (folder / "flow.yaml").write_text(FLOWS)
        for name, text in more.items():
            (folder / f"{name}.yaml").write_text(text)
        dev = Dev(folder, tmp_path / "state")
        dev.options = options
        dev.start()
        running.append(dev)
        return dev

    yield make
    for dev in running:
        dev.close()


def post(dev, event_id, address=CANARIES["address"], **headers):
    """A producer's event with canaries; the status."""
    data = {"name": CANARIES["name"], "email": address}
    request = urllib.request.Request(f"{dev.url}/events", data=json.dumps(data).encode())
    attributes = {"ce-specversion": "1.0", "ce-type": KIND, "ce-source": "/test", "ce-id": event_id}
    for name, value in {**attributes, "content-type": "application/json", **headers}.items():
        request.add_header(name.replace("_", "-"), value)
    request.add_header("authorization", f"Bearer {CANARIES['token']}")
    return status(request)


def status(request):
    """What it is answered with, whatever that is."""
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


@pytest.mark.parametrize("form", ["json", "text"])
def test_nothing_that_a_mail_server_quotes_is_in_logs_and_metrics(make_dev, quoting, form):
    dev = make_dev("--log-format", form, "--verbose", provider=SMTP.format(port=quoting))
    outcomes = {
        "refused": ("failed", "RecipientRefused"),
        "later": ("deferred", "RecipientDeferred"),
        "full": ("failed", "MessageRefused"),
        "vanishing": ("unknown", "ConnectionLost"),
        "taken": ("accepted", ""),
        "closing": ("deferred", "RecipientDeferred"),
    }

    for what, (outcome, reason) in outcomes.items():
        assert post(dev, what, f"canary.person.{what}@private.example") == 202
        labels = {"outcome": outcome, "provider": "default", "reason": reason}
        assert until(lambda labels=labels: count(dev, "mails_total", **labels) >= 1), (what, scrape(dev))

    told = scrape(dev)
    assert dev.stop() == 0
    told += dev.log.read_text()
    assert [text for text in (*CANARIES.values(), "canary.person", "private.example") if text in told] == []
    assert re.findall(r"[\w.]+@[\w.]+\.\w+", told) == []


def test_nothing_of_links_and_attributes_is_in_logs_and_metrics(make_dev):
    dev = make_dev("--log-format", "json", "--verbose")
    address = CANARIES["address"]
    attributes = {"ce_subject": address, "ce_source": f"/people/{address}"}

    assert post(dev, address, **attributes) == 202
    assert post(dev, f"2-{address}", **attributes, **{f"ce-{CANARIES['token'].lower()}": "x"}) == 400
    assert until(lambda: f"Hello {CANARIES['name']}" in dev.subjects())
    (mail,) = (each for each in dev.mails() if each["Subject"] == f"Hello {CANARIES['name']}")
    with urllib.request.urlopen(f"{dev.url}/api/v1/message/{mail['ID']}/raw", timeout=20) as answer:
        token = re.search(r"/l/([\w-]+)>", answer.read().decode().replace("\r\n ", ""))[1]
    statuses = [visit(dev, path) for path in (f"/l/{token}", f"/l/{token[:-4]}AAAA", f"/events/{token}")]
    told = scrape(dev)
    assert dev.stop() == 0

    told += dev.log.read_text()
    assert [status for status in statuses if status >= 500] == []
    secrets = (*CANARIES.values(), CANARIES["token"].lower(), token[:20])
    assert [text for text in secrets if text in told] == []
    assert re.findall(r"[\w.]+@[\w.]+\.\w+", told) == []


def test_nothing_of_what_is_no_event_is_in_logs_and_metrics(make_dev):
    dev = make_dev("--log-format", "json", "--verbose")

    async def write():
        connection = await connect(Credentials(f"nats://127.0.0.1:{dev.ports['nats']}"), "test")
        headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": KIND}
        headers[f"ce-{CANARIES['address']}"] = f"%zz {CANARIES['name']}"
        subject = Names("default", "default").event_subject(0, KIND)
        await connection.request(subject, CANARIES["body"].encode(), headers)
        await connection.close()

    asyncio.run(write())
    assert until(lambda: put_aside(dev) >= {"default/hello", "_contacts"})
    told = scrape(dev)
    assert dev.stop() == 0

    told += dev.log.read_text()
    assert "InvalidAttribute" in told
    assert [text for text in CANARIES.values() if text in told] == []


def put_aside(dev):
    """By whom dead letters were kept."""
    found = samples(scrape(dev))
    return {dict(key[1:])["origin"] for key in found if key[0] == "emailflow_dead_letters_total"}


def visit(dev, path):
    """Follow a link, as one click does; the status."""
    return status(urllib.request.Request(f"{dev.url}{path}", data=b"List-Unsubscribe=One-Click"))


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
