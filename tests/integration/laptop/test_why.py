"""`emailflow why` in a terminal: from an address or a mail to the reasons."""

import json
import subprocess
import sys

from .conftest import until


def why(dev, *arguments):
    command = [sys.executable, "-m", "emailflow_cli", "why", *arguments]
    nats = f"nats://127.0.0.1:{dev.ports['nats']}"
    return subprocess.run([*command, "--nats", nats], capture_output=True, text=True, timeout=60, check=False)


def told(dev, *arguments):
    answer = why(dev, *arguments, "-o", "json")
    return json.loads(answer.stdout) if answer.returncode == 0 else None


def test_a_mail_is_explained_by_its_address_and_by_its_id(dev, tmp_path):
    dev.post("com.example.signed_up", {"name": "Ana", "email": "ana@example.com"}, "1")
    dev.post("com.example.signed_up", {"name": "Bob", "email": "bob@example.com"}, "2")
    assert until(lambda: len(dev.subjects()) == 2)
    kept = ("--read-model", str(tmp_path / "model"))

    def explained():
        found = told(dev, "Ana@Example.com", *kept)
        return found if found and [mail["outcome"] for mail in found["mails"]] == ["accepted"] else None

    by_address = until(explained)
    caught = next(mail for mail in dev.mails() if mail["Subject"] == "Hello Ana")
    by_mail = told(dev, caught["MessageID"], *kept)
    afresh = told(dev, caught["MessageID"])
    table = why(dev, "ana@example.com", *kept).stdout

    assert [moment["type"].removeprefix("dev.emailflow.") for moment in by_address["timeline"]] == [
        "com.example.signed_up",
        "journey.entered",
        "message.requested",
        "message.attempted",
        "message.accepted",
        "journey.completed",
    ]
    assert by_mail["mails"] == by_address["mails"]
    assert afresh == by_mail
    assert "consent: Pass" in by_mail["mails"][0]["gates"]
    assert "asks for default/hello" in table


def test_who_is_not_in_the_log_is_not_explained(dev):
    answer = why(dev, "nobody@example.com")

    assert answer.returncode == 1
    assert "the log tells nothing" in answer.stderr
