"""The operator's Roles hold what it uses: nothing is refused, and no right lies idle.

The API server counts it (rights.py). This runs behind the tests that make the operator work.
"""

import json

from tests.e2e import cluster
from tests.e2e.cluster import get, kubectl, wait
from tests.e2e.rights import Ledger

from emailflow_operator.reconcile.children.earlier import earlier_children
from emailflow_operator.reconcile.children.labels import metadata, pod_selector

MADE = "--selector=app.kubernetes.io/managed-by=emailflow-operator"


def test_each_right_is_used_and_nothing_more_is_asked(shop: str, release: str, ledger: Ledger) -> None:
    kubectl("delete", "lease", "emailflow-operator", "--namespace", release)
    wait("lease", "emailflow-operator", release, until="create")
    let_earlier_children_be_deleted(shop, release)
    counts = ledger.counts()
    applied = {right.what for right, count in counts.items() if right.verb == "patch" and count}
    unused = {
        right
        for right, count in counts.items()
        # To apply what isn't there is a PATCH, for which the server asks for the right to create, too.
        if not count and not (right.verb == "create" and right.what in applied and is_made(right.what))
    }
    assert unused == set()
    assert ledger.refused() == 0


def is_made(resource: str) -> bool:
    """Whether there is an object of this resource that the operator has made."""
    return bool(kubectl("get", resource, "--all-namespaces", MADE, "--output=name").strip())


def let_earlier_children_be_deleted(shop: str, release: str) -> None:
    """Put what an earlier version has made there; an operator that starts finds and deletes it."""
    owner = get("emailruntime", "default", shop)
    selector = pod_selector("default")
    container = {"name": "runtime", "image": cluster.IMAGE}
    template = {"metadata": {"labels": selector}, "spec": {"containers": [container]}}
    specs = {
        "Deployment": {"replicas": 0, "selector": {"matchLabels": selector}, "template": template},
        "NetworkPolicy": {"podSelector": {"matchLabels": selector}},
        "PodDisruptionBudget": {"maxUnavailable": 1, "selector": {"matchLabels": selector}},
    }
    earlier = earlier_children(owner)
    for each in earlier:
        about = metadata(owner, name=each["metadata"]["name"])
        spec = specs.get(each["kind"])
        made = {**each, "metadata": about, **({"spec": spec} if spec else {})}
        cluster.apply(json.dumps(made), shop)
    kubectl("rollout", "restart", "deployment/emailflow-operator", "--namespace", release)
    for each in earlier:
        wait(each["kind"], each["metadata"]["name"], shop, until="delete")
