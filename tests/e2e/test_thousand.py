"""A thousand flows at once become Ready, in an operator of bounded size; then, idle, nothing is written."""

import json
import math
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime

import pytest
from tests.e2e.cluster import get, kubectl, listed, make_namespace, run
from tests.e2e.conftest import apply_example
from tests.e2e.rights import WRITES, Ledger

MANY = 1000
MINE = "--selector=e2e=many"
OPERATOR_BYTES = 150 << 20


@pytest.fixture(scope="module")
def crowd(release: str, witness: object) -> Iterator[str]:
    """A namespace with a runtime and no flow but one."""
    make_namespace("crowd")
    apply_example("crowd")
    yield "crowd"
    kubectl("delete", "namespace", "crowd", "--wait=false")


def until_ready(namespace: str) -> None:
    """Until all are Ready, for four minutes at most: `kubectl wait` would watch one after the other."""
    columns = '--output=custom-columns=N:.metadata.name,R:.status.conditions[?(@.type=="Ready")].status'
    options = [MINE, "--watch", "--no-headers", columns, "--request-timeout=240s"]
    ready: set[str] = set()
    with subprocess.Popen(
        ["kubectl", "get", "ef", "--namespace", namespace, *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            name, state = line.split()
            (ready.add if state == "True" else ready.discard)(name)
            if len(ready) == MANY:
                break
        process.kill()
    assert len(ready) == MANY


def flow(number: int) -> dict[str, object]:
    return {
        "apiVersion": "emailflow.dev/v1alpha1",
        "kind": "EmailFlow",
        "metadata": {"name": f"flow{number}", "labels": {"e2e": "many"}},
        "spec": {
            "trigger": {"types": [f"com.example.many{number}"]},
            "steps": [{"name": "hello", "send": {"templateRef": {"name": "welcome"}}}],
        },
    }


def test_a_thousand_flows_at_once_become_ready(crowd: str, figures: dict[str, str]) -> None:
    """From its creation; kubectl takes its time to create them one by one."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [flow(number) for number in range(MANY)]})
    began = time.monotonic()
    kubectl("create", "--namespace", crowd, "--filename", "-", stdin=text, timeout=240)
    figures["1,000 flows at once: kubectl create"] = f"{time.monotonic() - began:.0f} s"
    until_ready(crowd)
    figures["1,000 flows at once: all Ready"] = f"{time.monotonic() - began:.0f} s"
    took = sorted(map(seconds, listed("ef", crowd, MINE)))
    assert len(took) == MANY
    figures["1,000 flows at once: created -> Ready, p95"] = f"{took[math.ceil(MANY * 0.95) - 1]:.0f} s"


def seconds(value: dict[str, object]) -> float:
    """From a flow's creation until it was Ready, as both were noted: whole seconds."""
    flow = json.loads(json.dumps(value))
    [ready] = [each for each in flow["status"]["conditions"] if each["type"] == "Ready"]
    created = datetime.fromisoformat(flow["metadata"]["creationTimestamp"])
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - created).total_seconds()


def test_the_operator_serves_them_within_its_memory(
    crowd: str, release: str, figures: dict[str, str]
) -> None:
    leader = get("lease", "emailflow-operator", release)["spec"]["holderIdentity"]
    status = kubectl("exec", leader, "--namespace", release, "--", "cat", "/proc/1/status")
    [kilobytes] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
    figures["operator with 1,000 flows"] = f"{kilobytes / 1024:.0f} MiB"
    assert kilobytes << 10 <= OPERATOR_BYTES


def test_an_idle_minute_has_no_writes(crowd: str, ledger: Ledger, figures: dict[str, str]) -> None:
    """Renewals of the Lease are counted apart: they are how replicas take turns."""
    before = ledger.counts()
    watched = ("get", "emailflows", "--all-namespaces", "--watch-only")
    changes = run("kubectl", *watched, "--output=name", "--request-timeout=60s", timeout=90)
    after = ledger.counts()
    written = {right: after[right] - before[right] for right in after if right.verb in WRITES}
    renewals = sum(count for right, count in written.items() if right.what == "leases")
    figures["idle minute: writes"] = f"{sum(written.values())}, of them renewals of the Lease: {renewals}"
    assert changes.stdout == ""
    assert {right: count for right, count in written.items() if count and right.what != "leases"} == {}
    assert renewals > 10, "it was a minute, and the counters count"
