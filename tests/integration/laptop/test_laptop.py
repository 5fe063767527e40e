"""From an event over HTTP to a mail in the inbox, and what a bad day does to it."""

import json
import subprocess

import pytest

from .conftest import FLOW, Dev, until

KIND = "com.example.signed_up"
BODY = {"email": "ana@example.com", "name": "Ana"}
ATTRIBUTES = {"specversion": "1.0", "type": KIND, "source": "/curl", "id": "1"}
BINARY = [part for name, value in ATTRIBUTES.items() for part in ("-H", f"ce-{name}: {value}")]
STRUCTURED = json.dumps({**ATTRIBUTES, "datacontenttype": "application/json", "data": BODY})
MODES = {
    "binary": [*BINARY, "-H", "content-type: application/json", "-d", json.dumps(BODY)],
    "structured": ["-H", "content-type: application/cloudevents+json", "-d", STRUCTURED],
    "batched": ["-H", "content-type: application/cloudevents-batch+json", "-d", f"[{STRUCTURED}]"],
}


@pytest.mark.parametrize("mode", MODES)
def test_curl_gets_202_and_one_mail_in_every_mode(dev: Dev, mode: str) -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{dev.url}/events", *MODES[mode]]
    for _ in range(2):
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        assert answer.stdout == "202"
    assert until(dev.subjects) == ["Hello Ana"]
    # A later event's mail is there, so the repeat before it has been decided: it sent nothing.
    dev.post(KIND, {"email": "bob@example.com", "name": "Bob"}, "2")
    assert until(lambda: len(dev.subjects()) > 1)
    assert sorted(dev.subjects()) == ["Hello Ana", "Hello Bob"]


def test_saving_a_manifest_is_applying_it(dev: Dev) -> None:
    dev.post(KIND, BODY, "1")
    assert until(dev.subjects) == ["Hello Ana"]
    (dev.folder / "flow.yaml").write_text(FLOW.replace("Hello {{", "Welcome {{"))

    def welcomed() -> bool:
        number = len(dev.subjects())
        dev.post(KIND, {"email": f"u{number}@example.com", "name": "You"}, f"n{number}")
        return "Welcome You" in dev.subjects()

    assert until(welcomed)


def test_a_broken_manifest_leaves_the_last_good_one_in_force(dev: Dev) -> None:
    (dev.folder / "flow.yaml").write_text(FLOW.replace("Hello {{ event", "Hello {{{ event"))
    assert until(lambda: "TemplateSyntaxError" in dev.log.read_text())
    dev.post(KIND, BODY, "1")
    assert until(dev.subjects) == ["Hello Ana"]


def test_an_undefined_variable_fails_the_mail_and_stops_nothing_else(dev: Dev) -> None:
    dev.post(KIND, {"email": "ana@example.com"}, "1")
    dev.post(KIND, {"email": "bob@example.com", "name": "Bob"}, "2")
    assert until(dev.subjects) == ["Hello Bob"]


def test_state_survives_a_restart(dev: Dev) -> None:
    dev.post(KIND, BODY, "1")
    assert until(dev.subjects) == ["Hello Ana"]
    assert dev.stop() == 0
    dev.start()
    dev.post(KIND, BODY, "1")
    dev.post(KIND, {"email": "bob@example.com", "name": "Bob"}, "2")
    assert until(lambda: len(dev.subjects()) > 1)
    assert sorted(dev.subjects()) == ["Hello Ana", "Hello Bob"]


def test_a_suspended_flow_holds_its_events_until_it_is_released(dev: Dev) -> None:
    (dev.folder / "flow.yaml").write_text(
        FLOW.replace("spec:\n  trigger", "spec:\n  suspend: true\n  trigger")
    )
    (dev.folder / "other.yaml").write_text(FLOW.replace("hello", "other").replace("Hello", "Other"))

    def applied() -> bool:
        number = len(dev.subjects())
        dev.post(KIND, {"email": f"u{number}@example.com", "name": f"U{number}"}, f"n{number}")
        return any(subject.startswith("Other") for subject in dev.subjects())

    assert until(applied)
    dev.post(KIND, BODY, "held")
    assert until(lambda: "Other Ana" in dev.subjects())
    assert "Hello Ana" not in dev.subjects()
    (dev.folder / "flow.yaml").write_text(FLOW)
    assert until(lambda: "Hello Ana" in dev.subjects())
