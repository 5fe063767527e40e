"""What changes while people are inside: a flow is edited, deleted, allowed elsewhere; keys are rotated."""

import time
from typing import Any

from tests.e2e import cluster, events
from tests.e2e.cluster import Sink, kubectl, listed, wait
from tests.e2e.conftest import KEYRING, patch

TOUR = "com.example.tour.started"
INSIDE = "PT10S"
"""Long enough for an edit to arrive meanwhile; a mail's arrival ends each wait of a test."""


def tour(template: str, *, name: str = "tour", runtime: str = "") -> str:
    """A flow in which everybody is greeted, waits, and is told. The greeting shows who is inside."""
    return f"""
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: {name}}}
spec:
  {runtime}
  trigger: {{types: [{TOUR}]}}
  steps:
    - {{name: greet, send: {{templateRef: {{name: welcome}}}}}}
    - {{name: pause, wait: {{for: {INSIDE}}}}}
    - {{name: tell, send: {{templateRef: {{name: {template}}}}}}}
"""


CONTRACT = f"""
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {{name: tour-started}}
spec:
  type: {TOUR}
  readers: {{from: Selector, selector: {{matchLabels: {{mail: "yes"}}}}}}
"""


def started(name: str) -> dict[str, Any]:
    return events.sign_up(name) | {"type": TOUR, "data": {"email": f"{name}@example.com", "name": name}}


def ready(flow: str, namespace: str) -> None:
    """Until a runtime serves the flow as it was applied last."""
    generation = cluster.get("ef", flow, namespace)["metadata"]["generation"]
    wait("ef", flow, namespace, until=f"jsonpath={{.status.observedGeneration}}={generation}")
    wait("ef", flow, namespace, until="condition=Ready")


def test_an_edit_leaves_those_inside_on_their_way(shop: str, producer: str, witness: Sink) -> None:
    cluster.apply(tour("tips-free"), shop)
    ready("tour", shop)
    assert events.post(shop, producer, started("early")) == [202]
    assert witness.mails("early@example.com", count=1)
    cluster.apply(tour("tips-pro"), shop)
    ready("tour", shop)
    assert events.post(shop, producer, started("late")) == [202]
    [_, early] = witness.mails("early@example.com", count=2)
    [_, late] = witness.mails("late@example.com", count=2)
    assert "three tips for your first order" in early["subject"]
    assert "get more out of Pro" in late["subject"]


def test_a_deleted_flow_finishes_with_those_inside_and_takes_nobody_new(
    shop: str, producer: str, witness: Sink
) -> None:
    cluster.apply(tour("tips-free", name="leaving"), shop)
    kubectl("delete", "ef", "tour", "--namespace", shop, "--ignore-not-found")
    ready("leaving", shop)
    assert events.post(shop, producer, started("inside")) == [202]
    assert witness.mails("inside@example.com", count=1)
    kubectl("delete", "ef", "leaving", "--namespace", shop)
    cluster.apply(tour("tips-pro", name="next"), shop)
    ready("next", shop)
    assert events.post(shop, producer, started("outside")) == [202]
    [_, inside] = witness.mails("inside@example.com", count=2)
    assert "three tips for your first order" in inside["subject"]
    [_, outside] = witness.mails("outside@example.com", count=2)
    assert "get more out of Pro" in outside["subject"], "only the flow that was there took it"
    kubectl("delete", "ef", "next", "--namespace", shop)


def test_a_flow_elsewhere_is_served_once_the_runtime_allows_it(
    shop: str, producer: str, witness: Sink
) -> None:
    cluster.make_namespace("team")
    kubectl("apply", "--namespace", "team", "--filename", "examples/onboarding/3-templates.yaml")
    cluster.apply(tour("tips-pro", runtime=f"runtimeRef: {{name: default, namespace: {shop}}}"), "team")
    wait("ef", "tour", "team", until='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=NotAllowed')
    selector = {"from": "Selector", "selector": {"matchLabels": {"mail": "yes"}}}
    patch("er", "default", {"spec": {"allowedNamespaces": selector}})
    kubectl("label", "namespace", "team", "mail=yes")
    wait("ef", "tour", "team", until='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=NotAUser')
    patch("cp", "getting-started", {"spec": {"users": selector}})
    wait("ef", "tour", "team", until='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=NotAReader')
    cluster.apply(CONTRACT, shop)
    wait("ef", "tour", "team", until="condition=Ready")
    assert events.post(shop, producer, started("guest")) == [202]
    assert len(witness.mails("guest@example.com", count=2)) == 2
    kubectl("label", "namespace", "team", "mail-")
    wait("ef", "tour", "team", until='jsonpath={.status.conditions[?(@.type=="Ready")].reason}=NotAllowed')
    kubectl("delete", "namespace", "team")
    kubectl("delete", "evt", "tour-started", "--namespace", shop)


def test_a_rotated_key_signs_new_links_and_old_links_stay_good(
    shop: str, producer: str, witness: Sink
) -> None:
    pods = {pod["metadata"]["name"] for pod in runtime_pods(shop)}
    assert events.post(shop, producer, events.sign_up("olga")) == [202]
    [old] = witness.mails("olga@example.com", count=1)
    rotated = f"k2: fedcba9876543210fedcba9876543210\n{KEYRING}\n"
    manifest = kubectl(
        *("create", "secret", "generic", "links", f"--namespace={shop}", f"--from-literal=keyring={rotated}"),
        *("--dry-run=client", "--output=yaml"),
    )
    cluster.apply(manifest, shop)
    before, deadline, number = key_of(events.unsubscribe_link(old)), time.monotonic() + 120, 0
    while True:  # each turn is a mail that comes; the kubelet brings the new value within its sync period
        name = f"oscar{number}"
        assert events.post(shop, producer, events.sign_up(name)) == [202]
        [new] = witness.mails(f"{name}@example.com", count=1)
        if key_of(events.unsubscribe_link(new)) != before:
            break
        assert time.monotonic() < deadline, "the new key is not used"
        number += 1
    assert cluster.in_pod(shop, producer, events.ONE_CLICK, events.unsubscribe_link(old)).strip() == "200"
    assert {pod["metadata"]["name"] for pod in runtime_pods(shop)} == pods, "no pod was replaced"


def key_of(url: str) -> str:
    """The part of a link that names its key."""
    return url.rpartition("/l/")[2].partition(".")[0]


def runtime_pods(namespace: str) -> list[dict[str, Any]]:
    return listed("pods", namespace, "--selector=app.kubernetes.io/name=emailflow-runtime")
