"""What a flow's status says of what it names and what is not there."""

from typing import Any

import pytest

from emailflow_api.plans import Plans, content_hash
from emailflow_api.reports import FlowReport
from emailflow_operator.reconcile.cluster import Cluster
from emailflow_operator.reconcile.desired import plans_in_force
from emailflow_operator.reconcile.statuses import status_of
from emailflow_operator.reconcile.verdicts import Standing

from .conftest import compiled_for, thing

MAIL = ("mail", "default")


def standing(cluster: Cluster, before: Plans | None, **report: Any) -> Standing:
    compiled = compiled_for(MAIL, cluster)
    plans = plans_in_force(MAIL, compiled, before, {})
    assert plans is not None
    reports = {
        plan.id: {0: FlowReport(content_hash(plan), plan.revision, **report)} for plan in plans.flows.values()
    }
    return Standing(compiled=compiled, plans=plans, reports=reports, deployment=None)


def in_force(how: Standing) -> Plans:
    assert how.plans is not None
    return how.plans


def ready(cluster: Cluster, how: Standing) -> tuple[str, str, str]:
    status = status_of(
        cluster.get("EmailFlow", "mail", "hello"), how, now="2026-03-01T10:00:00Z", counts_due=True
    )
    found = {each["type"]: each for each in status["conditions"]}
    assert "Stalled" not in found
    return found["Ready"]["status"], found["Ready"]["reason"], found["Ready"]["message"]


def test_mails_that_wait_are_seen_on_their_flow(shop: Cluster) -> None:
    how = standing(shop, None, held={"SecretNotFound": 3, "PolicyNotFound": 1})
    assert ready(shop, how) == ("False", "PolicyNotFound", "Mails are held: PolicyNotFound, SecretNotFound")


def test_nothing_is_said_once_nothing_waits(shop: Cluster) -> None:
    assert ready(shop, standing(shop, None))[:2] == ("True", "Succeeded")


def test_the_number_of_mails_that_wait_moves_no_condition(shop: Cluster) -> None:
    few, many = (standing(shop, None, held={"SecretNotFound": count}) for count in (1, 999))
    assert ready(shop, few) == ready(shop, many)


@pytest.mark.parametrize(
    ("kind", "name", "reason", "said"),
    [
        ("EmailTemplate", "hello", "TemplateNotFound", "The last good version stays in force"),
        ("EmailProvider", "smtp", "NoProvider", "mails wait until it is there"),
        ("EventType", "signed-up", "EventTypeNotFound", "The last good version stays in force"),
    ],
)
def test_what_is_deleted_and_named_is_said(
    shop: Cluster, kind: str, name: str, reason: str, said: str
) -> None:
    [trigger] = shop.get("EmailFlow", "mail", "hello")["spec"]["trigger"]["types"]
    shop.put("EventType", thing("EventType", "signed-up", {"type": trigger}))
    before = standing(shop, None).plans
    shop.remove(kind, "mail", name)
    how = standing(shop, before)
    status, found, message = ready(shop, how)
    assert (status, found) == ("False", reason)
    assert said in message
    assert not in_force(how).flows["mail/hello"].deleted
    assert trigger in in_force(how).event_types


def test_what_a_policy_that_is_gone_holds_is_said(shop: Cluster) -> None:
    flow = shop.get("EmailFlow", "mail", "hello")
    shop.put("ContactPolicy", thing("ContactPolicy", "offers", {"topic": "offers"}))
    shop.put("EmailFlow", {**flow, "spec": {**flow["spec"], "policyRef": {"name": "offers"}}})
    before = standing(shop, None).plans
    shop.remove("ContactPolicy", "mail", "offers")
    status, reason, message = ready(shop, standing(shop, before))
    assert (status, reason) == ("False", "PolicyNotFound")
    assert "mails wait until it is there" in message


def test_a_broken_event_type_says_that_its_last_version_goes_on(shop: Cluster) -> None:
    [trigger] = shop.get("EmailFlow", "mail", "hello")["spec"]["trigger"]["types"]
    shop.put("EventType", thing("EventType", "signed-up", {"type": trigger}))
    before = standing(shop, None).plans
    broken = thing("EventType", "signed-up", {"type": trigger, "contact": {"email": "event.data."}})
    shop.put("EventType", broken)
    how = standing(shop, before)
    status = status_of(broken, how, now="2026-03-01T10:00:00Z", counts_due=True)
    [found] = [each for each in status["conditions"] if each["type"] == "Ready"]
    assert found["status"] == "False"
    assert "The last good version stays in force" in found["message"]
    assert trigger in in_force(how).event_types
