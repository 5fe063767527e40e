"""`emailflow replay` as its operator runs it: who was passed by gets their mail, nobody gets one twice."""

import json
import subprocess
import sys

import pytest

from . import hurried
from .conftest import Dev, until
from .test_why import why

MANIFESTS = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: hello}
spec:
  trigger: {types: [com.example.signed_up], filters: [{cel: "event.data.plan == 'PLAN' || event.data.all"}]}
  exitOn: [{types: [com.example.left], result: Left}]
  steps: [{name: hello, send: {templateRef: {name: hello}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: hello}
spec: {subject: "Hello {{ event.data.name }}", markdown: "Hi"}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {name: default}
spec: {nats: {url: "nats://127.0.0.1:4222"}, publicUrl: "http://127.0.0.1:8080", retention: {dedupe: P7D}}
"""


def sign_up(dev, name, plan="pro", **fields):
    data = {"name": name, "email": f"{name.lower()}@example.com", "plan": plan, "all": False, **fields}
    assert dev.post("com.example.signed_up", data, name) == 202


def leave(dev, name):
    assert dev.post("com.example.left", {"email": f"{name.lower()}@example.com"}, f"left-{name}") == 202


def replay(dev, *options):
    command = [sys.executable, "-m", "emailflow_cli", "replay", "--flow", "default/hello", *options]
    nats = f"nats://127.0.0.1:{dev.ports['nats']}"
    return subprocess.run([*command, "--nats", nats], capture_output=True, text=True, timeout=60, check=False)


def preview(dev, *options):
    answer = replay(dev, "--dry-run", "-o", "json", *options)
    assert answer.returncode == 0, answer.stderr
    return {each["address"]: each["then"] for each in json.loads(answer.stdout)}


def names(dev):
    return sorted(subject.removeprefix("Hello ") for subject in dev.subjects())


def pass_by(dev):
    """Return when everything posted so far has been decided: somebody who comes in later has a mail."""
    number = len(dev.subjects())
    sign_up(dev, f"Last{number}", all=True)
    assert until(lambda: f"Last{number}" in names(dev))


def started(folder, *program):
    (folder / "manifests").mkdir()
    (folder / "manifests/flow.yaml").write_text(MANIFESTS.replace("PLAN", "basic"))
    running = Dev(folder / "manifests", folder / "state")
    running.program = program or running.program
    running.start()
    return running


@pytest.fixture
def dev(tmp_path):
    running = started(tmp_path)
    yield running
    running.close()


@pytest.fixture
def hurried_dev(tmp_path):
    """One that gives up sooner on mails that a killed runtime was handing over."""
    running = started(tmp_path, hurried.__file__)
    yield running
    running.close()


def mend(dev):
    (dev.folder / "flow.yaml").write_text(MANIFESTS.replace("PLAN", "pro"))


def test_who_was_passed_by_gets_their_mail_and_nobody_two(dev):
    sign_up(dev, "Bea", "basic")
    sign_up(dev, "Ana")
    sign_up(dev, "Dan")
    leave(dev, "Dan")
    pass_by(dev)
    assert names(dev) == ["Bea", "Last0"] or names(dev) == ["Bea", "Last1"]
    before = names(dev)

    assert preview(dev, "--since", "PT1H") == {}
    mend(dev)
    assert until(lambda: preview(dev, "--since", "PT1H"))
    found = preview(dev, "--since", "PT1H")
    assert names(dev) == before

    assert found == {
        "ana@example.com": "gets default/hello, unless a gate holds it back",
        "dan@example.com": "is over at once: Left",
    }
    assert replay(dev, "--since", "PT1H").returncode == 0
    assert until(lambda: "Ana" in names(dev))
    assert preview(dev, "--since", "PT1H") == {}
    assert replay(dev, "--since", "PT1H").returncode == 0
    pass_by(dev)
    assert [name for name in names(dev) if not name.startswith("Last")] == ["Ana", "Bea"]


def test_waits_that_are_over_by_now_don_t_overtake_an_exit(dev):
    steps = "steps: [{name: pause, wait: {for: PT1S}}, {name: hello"
    waiting = MANIFESTS.replace("steps: [{name: hello", steps)
    (dev.folder / "flow.yaml").write_text(waiting.replace("PLAN", "basic"))
    for number in range(10):
        sign_up(dev, f"Stays{number}")
        sign_up(dev, f"Left{number}")
    for number in range(10):
        leave(dev, f"Left{number}")
    pass_by(dev)
    (dev.folder / "flow.yaml").write_text(waiting.replace("PLAN", "pro"))
    assert until(lambda: len(preview(dev, "--since", "PT1H")) == 20)

    assert replay(dev, "--since", "PT1H").returncode == 0

    assert until(lambda: {f"Stays{number}" for number in range(10)} <= set(names(dev)))
    pass_by(dev)
    assert [name for name in names(dev) if name.startswith("Left")] == []
    assert len([name for name in names(dev) if name.startswith("Stays")]) == 10


def test_what_came_after_the_stretch_lets_nobody_in(dev):
    sign_up(dev, "Ana")
    pass_by(dev)
    moment = (
        subprocess.run(
            ["date", "-u", "+%Y-%m-%dT%H:%M:%S.%N+00:00"], capture_output=True, text=True, check=True
        ).stdout.strip()[:26]
        + "+00:00"
    )
    sign_up(dev, "Eve")
    pass_by(dev)
    mend(dev)
    assert until(lambda: preview(dev, "--since", "PT1H"))

    assert set(preview(dev, "--since", "PT1H", "--until", moment)) == {"ana@example.com"}
    assert replay(dev, "--since", "PT1H", "--until", moment).returncode == 0
    assert until(lambda: "Ana" in names(dev))
    pass_by(dev)
    assert "Eve" not in names(dev)


def test_a_killed_runtime_does_the_replay_after_all_once(hurried_dev):
    dev = hurried_dev
    for number in range(20):
        sign_up(dev, f"P{number}")
    pass_by(dev)
    mend(dev)
    assert until(lambda: len(preview(dev, "--since", "PT1H")) == 20)

    assert replay(dev, "--since", "PT1H").returncode == 0
    dev.kill()
    dev.start()

    def missing():
        return {f"P{number}" for number in range(20)} - set(names(dev))

    def told_unknown():
        """Whether each missing mail was being handed over when the runtime was killed, and is told of so."""
        answers = (why(dev, f"{name.lower()}@example.com").stdout for name in missing())
        return all("dev.emailflow.message.unknown" in answer for answer in answers)

    # Only once the intents of the runtime before are over it is said that nobody will know.
    assert until(told_unknown, hurried.START_WITHIN + hurried.GIVE_UP_AFTER + 30)
    pass_by(dev)
    found = [name for name in names(dev) if name.startswith("P")]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--since", "P8D"), "P7D"),
        (("--since", "yesterday"), "RFC 3339"),
        (("--since", "PT1H", "--until", "PT2H"), "--until"),
    ],
    ids=["too long ago", "no moment", "backwards"],
)
def test_a_stretch_that_can_t_be_read_is_refused(dev, options, said):
    answer = replay(dev, *options)

    assert answer.returncode != 0
    assert said in answer.stderr


def test_a_flow_that_is_not_there_is_named(dev):
    answer = replay(dev, "--since", "PT1H", "--flow", "default/gone")

    assert answer.returncode == 1
    assert "there is no flow default/gone" in answer.stderr
