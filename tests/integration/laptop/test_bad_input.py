"""Bad input through the whole of `emailflow dev`: each has a clear error, and nothing is lost.

What the door refuses the producer hears at once; what fails later is a dead letter with its reason.
"""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from nats.aio.client import Client

from .conftest import FLOW, Dev, until

KIND = "com.example.signed_up"
SOUND = {"ce-specversion": "1.0", "ce-type": KIND, "ce-source": "/t", "ce-id": "1"}
STRUCTURED = "application/cloudevents+json"
EVENT = {"specversion": "1.0", "type": KIND, "source": "/t", "id": "1"}


def post(dev: Dev, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(f"{dev.url}/events", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def structured(event: Any) -> tuple[bytes, dict[str, str]]:
    return json.dumps(event).encode(), {"content-type": STRUCTURED}


def dead_letters(dev: Dev) -> list[dict[str, str]]:
    """The headers of all dead letters."""

    async def read() -> list[dict[str, str]]:
        client = Client()
        await client.connect(f"nats://127.0.0.1:{dev.ports['nats']}")
        try:
            stream = client.jetstream()
            last = (await stream.stream_info("default_default_DEADLETTER")).state.last_seq
            found = [await stream.get_msg("default_default_DEADLETTER", each + 1) for each in range(last)]
            return [dict(message.headers or {}) for message in found]
        finally:
            await client.close()

    return asyncio.run(read())


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that all refusals share: none of them may leave a trace."""
    folder = tmp_path_factory.mktemp("standing")
    manifests = folder / "manifests"
    manifests.mkdir()
    (manifests / "flow.yaml").write_text(FLOW)
    running = Dev(manifests, folder / "state")
    running.start()
    yield running
    running.close()


REFUSED = [
    (b"{}", {**SOUND, "ce-id": ""}, 400, "id"),
    (b"{}", {**SOUND, "ce-Bad_Name": "x"}, 400, "bad_name"),
    (b"{}", {**SOUND, "ce-specversion": "9.0"}, 400, "specversion"),
    (b"{}", {**SOUND, "ce-subject": "%C0%80"}, 400, "subject"),
    (b"{}", {**SOUND, "ce-time": "yesterday"}, 400, "time"),
    (*structured({**EVENT, "data": {}, "data_base64": "e30="}), 400, "data_base64"),
    (*structured({**EVENT, "source": 7}), 400, "source"),
    (
        b'{"specversion":"1.0","data":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        {"content-type": STRUCTURED},
        400,
        "",
    ),
    (b'{"specversion":"1.0","id":"\xc0\x80"}', {"content-type": STRUCTURED}, 400, ""),
    (b"hello", {"content-type": "application/x-www-form-urlencoded"}, 415, "content-type"),
    (b"<a/>", {"content-type": "application/cloudevents+xml"}, 415, "content-type"),
]


@pytest.mark.parametrize(("body", "headers", "status", "names"), REFUSED)
def test_the_door_says_what_is_wrong(
    standing: Dev, body: bytes, headers: dict[str, str], status: int, names: str
) -> None:
    answered, text = post(standing, body, {"content-type": "application/json", **headers})
    assert answered == status, text
    assert names in text.lower()


def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(standing: Dev) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", standing.ports["http"], timeout=20)
    connection.putrequest("POST", "/events")
    for name, value in {**SOUND, "content-type": "text/plain", "content-length": "10000000"}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_after_all_that_the_door_takes_a_sound_event(standing: Dev) -> None:
    assert standing.post(KIND, {"email": "ana@example.com", "name": "Ana"}, "after") == 202
    assert until(standing.subjects) == ["Hello Ana"]
    assert dead_letters(standing) == []


def test_of_a_batch_the_sound_half_is_taken(dev: Dev) -> None:
    people = [{"email": f"p{n}@example.com", "name": f"P{n}"} for n in range(4)]
    batch = [
        {**EVENT, "id": f"b{n}", "data": data, **({"source": ""} if n % 2 else {})}
        for n, data in enumerate(people)
    ]
    body = json.dumps(batch).encode()
    _, text = post(dev, body, {"content-type": "application/cloudevents-batch+json"})
    assert [item["status"] for item in json.loads(text)] == [202, 400, 202, 400]
    assert until(lambda: sorted(dev.subjects()) == ["Hello P0", "Hello P2"])


CONTENT = [
    ("markdown: 'Hi {{ event.data.nothing }}'", "UndefinedVariable"),
    (
        "markdown: '{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}'",
        "Template",
    ),
    ("markdown: '{{ \"x\" * 900000000 }}'", "Template"),
]


@pytest.mark.parametrize(("body", "reason"), CONTENT)
def test_a_template_that_fails_stops_its_own_mails_only(dev: Dev, body: str, reason: str) -> None:
    bad = FLOW.replace("name: hello}", "name: bad}").replace("com.example.signed_up", "com.example.bad")
    (dev.folder / "bad.yaml").write_text(bad.replace('markdown: "Hi **{{ event.data.name }}**"', body))
    probes = iter(range(1000))

    def failed() -> list[dict[str, str]]:
        number = next(probes)
        dev.post("com.example.bad", {"email": f"bad{number}@example.com", "name": "Bad"}, f"bad{number}")
        return dead_letters(dev)

    letters = until(failed)
    assert letters[0]["EmailFlow-Origin"] == "default_bad"
    assert letters[0]["EmailFlow-Reason"].startswith(reason)
    assert letters[0]["EmailFlow-Message"]
    dev.post(KIND, {"email": "ana@example.com", "name": "Ana"}, "good")
    assert until(dev.subjects) == ["Hello Ana"]


PEOPLE: list[tuple[dict[str, str], str]] = [
    ({"email": "ana@example.com"}, "UndefinedVariable"),
    ({"email": "not an address", "name": "Ana"}, "NoContact"),
    ({"name": "Ana"}, "NoContact"),
]


@pytest.mark.parametrize(("data", "reason"), PEOPLE)
def test_an_event_that_no_mail_can_follow_from_is_a_dead_letter(
    dev: Dev, data: dict[str, str], reason: str
) -> None:
    assert dev.post(KIND, data, "bad") == 202
    letters = until(lambda: dead_letters(dev))
    assert [each["EmailFlow-Reason"] for each in letters] == [reason]
    assert letters[0]["ce-id"] == "bad"


def test_line_breaks_from_an_event_never_make_a_header(dev: Dev) -> None:
    dev.post(KIND, {"email": "ana@example.com", "name": "Ana\r\nBcc: all@example.com"}, "injected")
    seen = until(lambda: dev.mails() or dead_letters(dev))
    if isinstance(seen[0], dict) and "EmailFlow-Reason" in seen[0]:
        assert seen[0]["EmailFlow-Reason"] == "InvalidHeader"
        return
    assert [each["Address"] for each in seen[0]["To"]] == ["ana@example.com"]
    assert not seen[0]["Bcc"]


BROKEN = [
    (FLOW.replace("templateRef: {name: hello}", "templateRef: {name: missing}"), "TemplateNotFound"),
    (FLOW.replace("steps: [{name: hello", "steps: [{name: hello, next: nowhere"), "StepNotFound"),
    (
        FLOW.replace("trigger: {", 'trigger: {filters: [{cel: "event.data.name +"}], '),
        "InvalidExpression",
    ),
]


@pytest.mark.parametrize(("manifest", "reason"), BROKEN)
def test_a_broken_manifest_is_told_and_changes_nothing(dev: Dev, manifest: str, reason: str) -> None:
    (dev.folder / "flow.yaml").write_text(manifest)
    assert until(lambda: f"[{reason}]" in dev.log.read_text()), dev.log.read_text()
    dev.post(KIND, {"email": "ana@example.com", "name": "Ana"}, "1")
    assert until(dev.subjects) == ["Hello Ana"]


# --- an SMTP server that misbehaves ------------------------------------------------------------------


def _converse(connection: socket.socket, answer: Callable[[bytes], bytes], after_data: bytes | None) -> None:
    """Answer each line; after the end of DATA `after_data`, or close."""
    with connection, connection.makefile("rwb") as stream, contextlib.suppress(OSError):
        stream.write(b"220 mx.example\r\n")
        stream.flush()
        for line in stream:
            reply = answer(line)
            stream.write(reply)
            stream.flush()
            if reply.startswith(b"354"):
                while stream.readline() not in {b".\r\n", b""}:
                    pass
                if after_data is None:
                    return
                stream.write(after_data)
                stream.flush()


def _serve(listening: socket.socket, *behaviour: Any) -> None:
    """Every connection in a thread of its own, until the listening socket is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_converse, args=(connection, *behaviour), daemon=True).start()


def _answers(to_recipient: bytes) -> Callable[[bytes], bytes]:
    replies = {b"EHLO": b"250 mx.example\r\n", b"DATA": b"354 go\r\n", b"RCPT": to_recipient}
    return lambda line: replies.get(line[:4].upper(), b"250 ok\r\n")


@pytest.fixture
def smtp_server() -> Iterator[Callable[..., int]]:
    listening = socket.create_server(("127.0.0.1", 0))

    def start(to_recipient: bytes = b"250 ok\r\n", after_data: bytes | None = b"250 ok\r\n") -> int:
        arguments = (listening, _answers(to_recipient), after_data)
        threading.Thread(target=_serve, args=arguments, daemon=True).start()
        return int(listening.getsockname()[1])

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def outcomes(dev: Dev) -> list[tuple[str, dict[str, Any]]]:
    """What the log tells of the mail: types without their prefix, and data."""

    async def read() -> list[tuple[str, dict[str, Any]]]:
        client = Client()
        await client.connect(f"nats://127.0.0.1:{dev.ports['nats']}")
        try:
            stream = client.jetstream()
            state = (await stream.stream_info("default_default_EVENTS")).state
            found = []
            for sequence in range(1, state.last_seq + 1):
                message = await stream.get_msg("default_default_EVENTS", sequence)
                kind = (message.headers or {})["ce-type"]
                if kind.startswith("dev.emailflow.message."):
                    found.append(
                        (kind.removeprefix("dev.emailflow.message."), json.loads(message.data or b"{}"))
                    )
            return found
        finally:
            await client.close()

    return asyncio.run(read())


PROVIDER = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: default, annotations: {emailflow.dev/deliver: "true"}}
spec:
  type: Smtp
  smtp: {host: 127.0.0.1, port: PORT, tls: None}
  from: {address: hello@example.com}
  retry: {backoff: PT1H}
"""

SMTP: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"to_recipient": b"550 5.1.1 no such user\r\n"}, "failed", {"code": 550, "enhanced": "5.1.1"}),
    ({"to_recipient": b"451 4.7.1 come back later\r\n"}, "deferred", {"code": 451, "enhanced": "4.7.1"}),
    ({"after_data": None}, "unknown", {}),
]


@pytest.mark.parametrize(("behaviour", "outcome", "details"), SMTP)
def test_what_the_provider_did_is_in_the_log(
    dev: Dev,
    smtp_server: Callable[..., int],
    behaviour: dict[str, Any],
    outcome: str,
    details: dict[str, Any],
) -> None:
    port = smtp_server(**behaviour)
    (dev.folder / "provider.yaml").write_text(PROVIDER.replace("PORT", str(port)))
    probes = iter(range(1000))

    def concluded() -> list[tuple[str, dict[str, Any]]]:
        number = next(probes)
        dev.post(KIND, {"email": f"p{number}@example.com", "name": "Probe"}, f"p{number}")
        return [each for each in outcomes(dev) if each[0] == outcome]

    found = until(concluded)
    assert found, outcomes(dev)
    assert {name: found[0][1].get(name) for name in details} == details


def test_a_provider_that_hangs_does_not_keep_it_from_ending(dev: Dev) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (dev.folder / "provider.yaml").write_text(PROVIDER.replace("PORT", str(silent.getsockname()[1])))
        silent.settimeout(0.5)
        probes = iter(range(1000))

        def asked() -> bool:
            number = next(probes)
            dev.post(KIND, {"email": f"p{number}@example.com", "name": "Probe"}, f"p{number}")
            with contextlib.suppress(TimeoutError):
                silent.accept()[0].detach()
                return True
            return False

        assert until(asked)
        assert dev.stop() == 0, dev.log.read_text()
