"""Dead letters as their operator meets them: listed, shown, redriven to the one flow, thrown away."""

import json
import subprocess
import sys

import pytest

from .conftest import until

FLOWS = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: hello}
spec:
  trigger: {types: [com.example.signed_up]}
  steps:
    - {name: hello, send: {templateRef: {name: hello}}}
    - {name: tips, send: {templateRef: {name: tips}}}
    - {name: bye, send: {templateRef: {name: bye}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: audit}
spec:
  trigger: {types: [com.example.signed_up]}
  steps: [{name: copy, send: {templateRef: {name: copy}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: hello}
spec: {subject: "Hello", markdown: "Hi"}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: copy}
spec: {subject: "Copy", markdown: "Hi"}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: bye}
spec: {subject: "Bye", markdown: "Hi"}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: tips}
spec: {subject: "Tips", markdown: "Dear {{ NAME }}"}
"""
BROKEN = FLOWS.replace("NAME", "event.data.nickname")
MENDED = FLOWS.replace("NAME", "event.data.name")
CONTRACT = """
---
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {name: signed-up}
spec:
  type: com.example.signed_up
  onInvalid: DeadLetter
  schema: {type: object, required: [REQUIRED]}
"""


class Operator:
    """Runs `emailflow dead-letters` against the laptop's NATS."""

    def __init__(self, dev):
        self.dev = dev

    def run(self, *arguments):
        command = [sys.executable, "-m", "emailflow_cli", "dead-letters", *arguments]
        nats = f"nats://127.0.0.1:{self.dev.ports['nats']}"
        return subprocess.run(
            [*command, "--nats", nats], capture_output=True, text=True, timeout=60, check=False
        )

    def letters(self, *options):
        answer = self.run("list", "-o", "json", *options)
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)


@pytest.fixture
def operator(dev):
    return Operator(dev)


def declare(dev, text):
    (dev.folder / "flow.yaml").write_text(text)


def sign_up(dev, event_id="1"):
    data = {"name": "Ana", "email": "ana@example.com"}
    return dev.post("com.example.signed_up", data, event_id)


def until_declared(dev, marker):
    """Return when a plan with this mark is in force: another flow's mail says so."""
    text = (dev.folder / "flow.yaml").read_text()
    flow = f"""
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: {marker}}}
spec:
  trigger: {{types: [com.example.{marker}]}}
  steps: [{{name: copy, send: {{templateRef: {{name: {marker}}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: {marker}}}
spec: {{subject: "{marker}", markdown: "Hi"}}
"""
    declare(dev, text + flow)
    numbers = iter(range(1000))

    def marked():
        dev.post(f"com.example.{marker}", {"email": "mark@example.com"}, f"{marker}{next(numbers)}")
        return marker in dev.subjects()

    assert until(marked)


def test_a_mail_that_could_not_be_made_is_made_again_alone(dev, operator):
    declare(dev, BROKEN)
    until_declared(dev, "ready")
    assert sign_up(dev) == 202
    assert until(lambda: len(operator.letters()) == 1)
    before = [subject for subject in dev.subjects() if subject != "ready"]
    assert sorted(before) == ["Bye", "Copy", "Hello"]
    (letter,) = operator.letters()
    assert [letter[field] for field in ("reason", "flow", "step")] == [
        "UndefinedVariable",
        "default/hello",
        "tips",
    ]

    declare(dev, MENDED)
    until_declared(dev, "mended")
    answer = operator.run("redrive", str(letter["id"]))

    assert (answer.returncode, answer.stdout) == (0, "1 redriven\n"), answer.stderr
    assert until(lambda: "Tips" in dev.subjects())
    assert sign_up(dev, "2") == 202  # whatever the redrive led to has been decided before this is
    assert until(lambda: dev.subjects().count("Bye") == 2)
    counted = {subject: dev.subjects().count(subject) for subject in ("Hello", "Tips", "Bye", "Copy")}
    assert counted["Hello"] == 2
    assert counted["Tips"] == 2
    assert counted["Copy"] == 2
    assert operator.letters() == []


def test_what_fails_again_is_a_letter_again(dev, operator):
    declare(dev, BROKEN)
    until_declared(dev, "ready")
    sign_up(dev)
    assert until(lambda: len(operator.letters()) == 1)
    (first,) = operator.letters()

    assert operator.run("redrive", "--flow", "default/hello").returncode == 0

    assert until(lambda: [each["id"] > first["id"] for each in operator.letters()] == [True])
    (second,) = operator.letters()
    assert (second["step"], second["event"]) == ("tips", first["event"])


def test_a_letter_of_the_door_goes_through_its_checks_again(dev, operator):
    declare(dev, MENDED + CONTRACT.replace("REQUIRED", "age"))
    until_declared(dev, "ready")
    sign_up(dev)
    assert until(lambda: [each["flow"] for each in operator.letters()] == ["_receiver"])

    refused = operator.run("redrive", "--all")
    assert refused.returncode == 1
    assert "ContractBroken" in refused.stderr
    assert len(operator.letters("--reason", "ContractBroken")) == 1

    declare(dev, MENDED + CONTRACT.replace("REQUIRED", "name"))
    until_declared(dev, "mended")
    assert operator.run("redrive", "--all").returncode == 0
    assert until(lambda: {"Hello", "Tips", "Bye", "Copy"} <= set(dev.subjects()))
    assert operator.letters() == []


def test_somebody_who_was_not_found_is_found_when_the_mapping_is_there(dev, operator):
    declare(dev, MENDED)
    until_declared(dev, "ready")
    assert dev.post("com.example.signed_up", {"name": "Ana", "user": {"mail": "ana@example.com"}}, "1") == 202
    assert until(lambda: len(operator.letters("--reason", "NoContact")) == 2)
    refused = operator.run("redrive", "--flow", "default/hello")
    assert (refused.returncode, "RedriveRefused" in refused.stderr) == (1, True)

    mapping = "  contact: {email: event.data.user.mail}\n"
    declare(dev, MENDED + CONTRACT.replace("REQUIRED", "name") + mapping)
    until_declared(dev, "mended")
    assert operator.run("redrive", "--flow", "default/hello").returncode == 0

    assert until(lambda: {"Hello", "Tips", "Bye"} <= set(dev.subjects()))
    assert "Copy" not in dev.subjects()
    assert [each["flow"] for each in operator.letters()] == ["default/audit"]


def test_letters_are_shown_whole_and_thrown_away(dev, operator):
    declare(dev, MENDED)
    until_declared(dev, "ready")
    dev.post("com.example.signed_up", {"name": "Ana"}, "1")
    assert until(lambda: len(operator.letters()) == 2)
    (letter, other) = operator.letters()

    shown = json.loads(operator.run("show", str(letter["id"]), "-o", "json").stdout)
    table = operator.run("list").stdout
    nothing = operator.run("discard")
    gone = operator.run("discard", str(letter["id"]))

    assert shown["cloudevent"]["data"] == {"name": "Ana"}
    assert "\033" not in table
    assert table.splitlines()[0].split() == ["ID", "KEPT", "REASON", "FLOW", "TYPE", "MESSAGE"]
    assert (nothing.returncode, gone.returncode) == (2, 0)
    assert [each["id"] for each in operator.letters()] == [other["id"]]
    assert operator.run("show", str(letter["id"])).returncode == 1


def test_what_a_contract_calls_sensitive_is_not_shown(dev, operator):
    hides = CONTRACT.replace("schema: {type: object, required: [REQUIRED]}", "sensitive: [data.email]")
    declare(dev, BROKEN + hides)
    until_declared(dev, "ready")
    sign_up(dev)
    assert until(lambda: len(operator.letters()) == 1)
    (letter,) = operator.letters()

    shown = operator.run("show", str(letter["id"]), "-o", "json")

    assert "ana@example.com" not in shown.stdout
    assert json.loads(shown.stdout)["cloudevent"]["data"] == {"name": "Ana", "email": "(sensitive)"}
