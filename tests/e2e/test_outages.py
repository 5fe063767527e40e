"""Pods are killed, and what was accepted is still one mail each; what is down holds nobody up."""

import time

from tests.e2e import cluster, events
from tests.e2e.cluster import Sink, get, kubectl, listed, wait

RUNTIME = "--selector=app.kubernetes.io/name=emailflow-runtime"


def test_a_runtime_pod_killed_while_it_sends_sends_nothing_twice(
    shop: str, producer: str, witness: Sink, reaper: str
) -> None:
    names = [f"kate{number}" for number in range(12)]
    [pod] = listed("pods", shop, RUNTIME)
    witness.hold()
    try:
        assert events.post(shop, producer, *map(events.sign_up, names)) == [202] * 12
        assert witness.mails("kate0@example.com", count=1) or witness.mails(count=1)
        cluster.strike(shop, pod["metadata"]["name"], reaper=reaper)
    finally:
        witness.release()
    wait("deployment", "emailruntime-default", shop, until="condition=Available")
    for name in names:
        mails = witness.mails(f"{name}@example.com", count=1, seconds=60)
        assert len(mails) == 1, name
    assert events.post(shop, producer, events.sign_up("kurt"), attempts=60) == [202]
    assert len(witness.mails("kurt@example.com", count=1, seconds=60)) == 1
    for name in names:
        assert len(witness.mails(f"{name}@example.com")) == 1, name


def test_what_was_accepted_survives_a_killed_nats(
    shop: str, producer: str, witness: Sink, release: str, reaper: str
) -> None:
    first = [f"nate{number}" for number in range(10)]
    assert events.post(shop, producer, *map(events.sign_up, first)) == [202] * 10
    cluster.strike(release, "emailflow-nats-0", reaper=reaper)
    second = [f"ned{number}" for number in range(10)]
    assert events.post(shop, producer, *map(events.sign_up, second), attempts=120) == [202] * 10
    wait("pod", "emailflow-nats-0", release, until="condition=Ready")
    for name in (*first, *second):
        assert len(witness.mails(f"{name}@example.com", count=1, seconds=60)) == 1, name
    wait("ef", "onboarding", shop, until="condition=Ready")


def test_another_operator_takes_over_from_one_that_hangs(
    shop: str, release: str, reaper: str, figures: dict[str, str]
) -> None:
    leader = get("lease", "emailflow-operator", release)["spec"]["holderIdentity"]
    cluster.strike(release, leader, reaper=reaper, signal="SIGSTOP")
    began = time.monotonic()
    flow = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: meanwhile}
spec:
  trigger: {types: [com.example.meanwhile]}
  steps: [{name: hello, send: {templateRef: {name: welcome}}}]
"""
    cluster.apply(flow, shop)
    wait("ef", "meanwhile", shop, until="condition=Ready")
    figures["operator hangs -> flow Ready by its peer"] = f"{time.monotonic() - began:.1f} s"
    assert get("lease", "emailflow-operator", release)["spec"]["holderIdentity"] != leader
    cluster.strike(release, leader, reaper=reaper)
    kubectl("delete", "ef", "meanwhile", "--namespace", shop)
    wait("deployment", "emailflow-operator", release, until="condition=Available")


def test_a_namespace_goes_while_operator_and_nats_are_down(shop: str, plain: str, release: str) -> None:
    scale(release, operator=0, nats=0)
    try:
        kubectl("delete", "namespace", plain, "--timeout=60s")
    finally:
        scale(release, operator=2, nats=1)
    wait("ef", "onboarding", shop, until="condition=Ready")


def scale(release: str, *, operator: int, nats: int) -> None:
    """Set the replicas of the installation, and wait until they are what they should be."""
    kubectl("scale", "deployment/emailflow-operator", f"--replicas={operator}", "--namespace", release)
    kubectl("scale", "statefulset/emailflow-nats", f"--replicas={nats}", "--namespace", release)
    if operator:
        wait("deployment", "emailflow-operator", release, until="condition=Available")
        wait("pod", "emailflow-nats-0", release, until="condition=Ready")
        return
    for each in listed("pods", release):
        wait("pod", each["metadata"]["name"], release, until="delete")
