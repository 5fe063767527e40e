"""What becomes of a flow in force when the platform takes back what it was permitted to do."""

from typing import Any

import pytest

from emailflow_api.plans.carried import GRACE
from emailflow_api.plans.permissions import refusal
from emailflow_operator.reconcile.cluster import Cluster
from emailflow_operator.reconcile.desired import Compiled, plans_in_force
from emailflow_operator.reconcile.scope import concerned
from emailflow_operator.reconcile.statuses import status_of
from emailflow_operator.reconcile.verdicts import Standing

from .conftest import cluster_of, compiled_for, event_type, flow, provider, runtime, template, thing

MAIL = ("mail", "default")
GROWTH = {"from": "Selector", "selector": {"matchLabels": {"team": "growth"}}}
ALL = {"from": "All"}


def space(name: str = "shop", **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def policy(**spec: Any) -> dict[str, Any]:
    return thing("ContactPolicy", "receipts", {"topic": "receipts", "users": ALL, **spec})


def guest(**spec: Any) -> dict[str, Any]:
    usual = {"runtimeRef": {"name": "default", "namespace": "mail"}, "policyRef": {"name": "receipts"}}
    return flow(namespace="shop", **{**usual, **spec})


def shared() -> Cluster:
    """A flow of `shop` that may do what it does."""
    allowed = runtime(allowedNamespaces=ALL)
    rest = (policy(), event_type("All"), guest(), template(namespace="shop"), space(team="growth"))
    return cluster_of(allowed, provider(), *rest)


def compiled(cluster: Cluster) -> Compiled:
    return compiled_for(MAIL, cluster)


def ready(cluster: Cluster, plans: Any) -> tuple[str, str, str]:
    value = cluster.get("EmailFlow", "shop", "hello")
    how = Standing(compiled=compiled(cluster), plans=plans, reports={}, deployment=None)
    [found] = [
        each
        for each in status_of(value, how, now="2026-03-01T10:00:00Z", counts_due=True)["conditions"]
        if each["type"] == "Ready"
    ]
    return found["status"], found["reason"], found["message"]


WITHDRAWN = {
    "NotAUser": policy(users={"from": "Same"}),
    "NotAReader": event_type("Same"),
    "NotAllowed": runtime(),
}


@pytest.mark.parametrize(("reason", "change"), WITHDRAWN.items())
def test_a_permission_that_is_taken_back_holds_the_version_in_force(
    reason: str, change: dict[str, Any]
) -> None:
    cluster = shared()
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    assert before is not None
    assert refusal(before, before.flows["shop/hello"]) == ""
    cluster.put(change["kind"], change)
    after = plans_in_force(MAIL, compiled(cluster), before, {})
    assert after is not None
    assert refusal(after, after.flows["shop/hello"]) == reason
    assert ready(cluster, after)[:2] == ("False", reason)
    assert "it is held" in ready(cluster, after)[2]


def test_a_permission_that_is_given_again_lets_it_go_on() -> None:
    cluster = shared()
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    cluster.put("ContactPolicy", policy(users={"from": "Same"}))
    held = plans_in_force(MAIL, compiled(cluster), before, {})
    cluster.put("ContactPolicy", policy())
    again = plans_in_force(MAIL, compiled(cluster), held, {})
    assert again == before


def test_an_author_who_asks_for_too_much_keeps_the_last_good_version() -> None:
    cluster = shared()
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    steps = [{"name": "hello", "send": {"templateRef": {"name": "hello"}, "bcc": ["'x@evil.example'"]}}]
    cluster.put("EmailFlow", guest(steps=steps))
    after = plans_in_force(MAIL, compiled(cluster), before, {})
    assert after is not None
    assert after.flows == (before.flows if before else None)
    assert refusal(after, after.flows["shop/hello"]) == ""
    assert ready(cluster, after)[:2] == ("False", "OtherRecipientsRefused")
    assert ready(cluster, after)[2].endswith("The last good version stays in force")


def test_a_template_that_takes_another_name_holds_the_flow_that_uses_it() -> None:
    cluster = shared()
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    cluster.put("EmailTemplate", template(namespace="shop", **{"from": {"address": "ceo@bank.example"}}))
    after = plans_in_force(MAIL, compiled(cluster), before, {})
    assert after is not None
    assert refusal(after, after.flows["shop/hello"]) == "NotASender"


def test_a_namespace_that_loses_its_label_loses_what_the_label_gave() -> None:
    cluster = shared()
    cluster.put("ContactPolicy", policy(users=GROWTH))
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    assert before is not None
    assert refusal(before, before.flows["shop/hello"]) == ""
    assert MAIL in concerned(cluster, space())
    cluster.put("Namespace", space())
    after = plans_in_force(MAIL, compiled(cluster), before, {})
    assert after is not None
    assert refusal(after, after.flows["shop/hello"]) == "NotAUser"


def test_deleting_a_flow_gives_it_no_permission_back() -> None:
    cluster = shared()
    cluster.put("ContactPolicy", policy(users=GROWTH))
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    cluster.put("Namespace", space())
    cluster.remove("EmailFlow", "shop", "hello")
    after = plans_in_force(MAIL, compiled(cluster), before, {}, at=1)
    assert after is not None
    assert refusal(after, after.flows["shop/hello"]) == "NotAUser"
    # Nobody can release it any more, so that those in it leave, as of one that was suspended.
    assert after.flows["shop/hello"].suspend
    left = plans_in_force(MAIL, compiled(cluster), after, {}, at=1 + GRACE)
    assert left is not None
    assert left.flows["shop/hello"].leave


def test_a_flow_that_may_not_come_in_any_more_is_held_as_long_as_it_is_there() -> None:
    cluster = shared()
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    cluster.put("EmailRuntime", runtime())
    held = plans_in_force(MAIL, compiled(cluster), before, {}, at=1)
    held = plans_in_force(MAIL, compiled(cluster), held, {}, at=1 + GRACE)
    assert held is not None
    assert not held.flows["shop/hello"].leave
    cluster.put("EmailRuntime", runtime(allowedNamespaces=ALL))
    again = plans_in_force(MAIL, compiled(cluster), held, {}, at=2 + GRACE)
    assert again is not None
    assert refusal(again, again.flows["shop/hello"]) == ""
    assert not again.flows["shop/hello"].deleted


def test_a_flow_of_a_namespace_that_is_gone_drains_by_what_it_had() -> None:
    cluster = shared()
    cluster.put("EmailRuntime", runtime(allowedNamespaces=GROWTH))
    cluster.put("ContactPolicy", policy(users=GROWTH))
    cluster.put("EventType", event_type(readers="Selector", selector=GROWTH["selector"]))
    plans = plans_in_force(MAIL, compiled(cluster), None, {})
    for kind, namespace, name in (
        ("EmailFlow", "shop", "hello"),
        ("EmailTemplate", "shop", "hello"),
        ("Namespace", "", "shop"),
    ):
        cluster.remove(kind, namespace, name)
        plans = plans_in_force(MAIL, compiled(cluster), plans, {})
    assert plans is not None
    drained = plans.flows["shop/hello"]
    assert drained.deleted
    assert refusal(plans, drained) == ""
    # A namespace of that name that is made again is asked anew.
    cluster.put("Namespace", space())
    plans = plans_in_force(MAIL, compiled(cluster), plans, {})
    assert plans is not None
    assert refusal(plans, drained) == "NotAllowed"
