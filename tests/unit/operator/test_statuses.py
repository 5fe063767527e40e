"""What statuses say, as kstatus reads them, and that they are written only when they differ."""

from typing import Any

import pytest
from msgspec.structs import replace

from emailflow_api.kinds import RESOURCES
from emailflow_api.plans import content_hash
from emailflow_api.reports import FlowReport, ProviderReport
from emailflow_operator.reconcile.children.settings import Issuer
from emailflow_operator.reconcile.cluster import Cluster
from emailflow_operator.reconcile.desired import plans_in_force
from emailflow_operator.reconcile.durability import durability
from emailflow_operator.reconcile.events import events_for
from emailflow_operator.reconcile.scope import at_home
from emailflow_operator.reconcile.statuses import counts_differ, patch_for, status_of
from emailflow_operator.reconcile.verdicts import Standing, Trouble

from .conftest import cluster_of, compiled_for, flow, provider, runtime, template, thing

MAIL = ("mail", "default")
NOW, LATER = "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"
ISSUER = Issuer("https://kubernetes.default.svc", '{"keys": [{}]}')
OPEN = ("False", "TokensVerified")
PODS = {"kind": "Deployment", "status": {"replicas": 1, "readyReplicas": 1}}


def standing(cluster: Cluster, *, served: bool = True, **more: Any) -> Standing:
    """How things stand; `served`: the runtime has acknowledged everything."""
    compiled = compiled_for(MAIL, cluster)
    plans = plans_in_force(MAIL, compiled, None, {})
    reports: dict[str, dict[int, FlowReport]] = {}
    if served and plans is not None:
        reports = {
            plan.id: {0: FlowReport(content_hash(plan), plan.revision, {plan.revision: 2}, {"hello": 2}, 5)}
            for plan in plans.flows.values()
        }
    providers = {}
    if served and plans is not None:
        providers = {name: ProviderReport(content_hash(plan)) for name, plan in plans.providers.items()}
    made = Standing(
        compiled=compiled, plans=plans, reports=reports, deployment=PODS, providers=providers, issuer=ISSUER
    )
    return replace(made, **more)


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def judged(value: dict[str, Any], how: Standing, **more: Any) -> dict[str, Any]:
    return status_of(value, how, now=NOW, **{"counts_due": True, **more})


def varz(name: str = "n1", **config: Any) -> dict[str, Any]:
    """What a nats-server answers to a question for its settings."""
    return {"server": {"name": name}, "data": {"jetstream": {"config": {"max_memory": 1, **config}}}}


def test_all_is_well(shop: Cluster) -> None:
    for value in at_home(shop, MAIL):
        found = conditions(judged(value, standing(shop, durable=durability([varz(sync_always=True)]))))
        assert found.pop("Durable", None) == (
            ("True", "SyncAlways") if value["kind"] == "EmailRuntime" else None
        )
        assert found.pop("ReceiverClosed", None) == (OPEN if value["kind"] == "EmailRuntime" else None)
        assert found == {"Ready": ("True", "Succeeded")}, value["kind"]


def test_every_status_is_one_that_the_definitions_allow(shop: Cluster) -> None:
    for value in at_home(shop, MAIL):
        RESOURCES[value["kind"]].model_validate({**value, "status": judged(value, standing(shop))})


def test_writing_the_same_again_is_no_patch(shop: Cluster) -> None:
    for value in list(at_home(shop, MAIL)):
        status = judged(value, standing(shop))
        assert patch_for(value, status) is not None
        shop.put(value["kind"], {**value, "status": status})
    for value in at_home(shop, MAIL):
        assert patch_for(value, status_of(value, standing(shop), now=LATER, counts_due=True)) is None


def test_a_flow_waits_for_every_shard() -> None:
    cluster = cluster_of(runtime(shards=2), provider(), flow(), template())
    found = conditions(judged(flow(), standing(cluster)))
    assert found == {"Ready": ("Unknown", "Progressing"), "Reconciling": ("True", "Progressing")}


def test_a_ready_flow_stays_so_when_only_its_earlier_revisions_change(shop: Cluster) -> None:
    how = standing(shop)
    ready = {**flow(), "status": judged(flow(), how)}
    plan = replace(how.plans.flows["mail/hello"], earlier=("old",))
    changed = replace(how, plans=replace(how.plans, flows={"mail/hello": plan}))
    assert conditions(judged(ready, changed)) == {"Ready": ("True", "Succeeded")}
    edited = {**ready, "metadata": {**ready["metadata"], "generation": 2}}
    assert conditions(judged(edited, changed))["Ready"] == ("Unknown", "Progressing")


@pytest.mark.parametrize(
    ("value", "reason", "stalled"),
    [
        (
            flow(steps=[{"name": "hello", "send": {"templateRef": {"name": "none"}}}]),
            "TemplateNotFound",
            False,
        ),
        (flow(runtimeRef={"name": "none"}), "RuntimeNotFound", False),
        (flow(continueIf="contact."), "InvalidExpression", True),
        (template(markdown="{{ oops"), "TemplateSyntaxError", True),
        (template(layoutRef={"name": "none"}), "LayoutNotFound", False),
    ],
)
def test_only_what_the_object_itself_must_mend_is_stalled(
    value: dict[str, Any], reason: str, stalled: bool
) -> None:
    key = ("mail", "none") if reason == "RuntimeNotFound" else MAIL
    cluster = cluster_of(runtime(), provider(), flow("other"), template(), value)
    compiled = compiled_for(key, cluster)
    found = conditions(judged(value, Standing(compiled, None, {}, None, exists=key == MAIL)))
    assert found["Ready"] == ("False", reason)
    assert ("Stalled" in found) == stalled


def test_nats_out_of_reach_is_unknown_for_those_who_need_it(shop: Cluster) -> None:
    away = standing(shop, trouble=Trouble("NatsUnreachable", "no answer", unknown=True))
    assert conditions(judged(flow(), away)) == {"Ready": ("Unknown", "NatsUnreachable")}
    assert conditions(judged(runtime(), away))["Ready"] == ("Unknown", "NatsUnreachable")
    assert conditions(judged(template(), away)) == {"Ready": ("True", "Succeeded")}


def test_a_runtime_without_a_ready_pod_is_not_ready(shop: Cluster) -> None:
    assert conditions(judged(runtime(), standing(shop, deployment=None)))["Ready"] == (
        "False",
        "PodsNotReady",
    )
    none_wanted = standing(shop, deployment=None)
    assert conditions(judged(runtime(replicas=0), none_wanted))["Ready"] == ("True", "Succeeded")


def test_suspended_is_said(shop: Cluster) -> None:
    cluster = cluster_of(runtime(), provider(), flow(suspend=True), template())
    assert conditions(judged(flow(suspend=True), standing(cluster))) == {"Ready": ("True", "Suspended")}


def test_a_provider_without_a_runtime_waits_for_one() -> None:
    cluster = cluster_of(provider())
    found = conditions(judged(provider(), standing(cluster, exists=False)))
    assert found == {"Ready": ("False", "RuntimeNotFound")}


def test_the_scale_subresource_gets_pods_and_selector(shop: Cluster) -> None:
    status = judged(runtime(), standing(shop))
    assert (status["replicas"], status["readyReplicas"], status["shards"], status["flows"]) == (1, 1, 1, 1)
    assert "emailflow.dev/runtime=default" in status["selector"]


def test_counts_move_only_when_they_are_due(shop: Cluster) -> None:
    how = standing(shop)
    shown = {**flow(), "status": judged(flow(), how)}
    assert (shown["status"]["journeys"], shown["status"]["pendingEvents"]) == (2, 5)
    plan = how.plans.flows["mail/hello"]
    moved = replace(how, reports={plan.id: {0: FlowReport(content_hash(plan), plan.revision, {"old": 7})}})
    assert patch_for(shown, judged(shown, moved, counts_due=False)) is None
    assert counts_differ(shown, judged(shown, moved))
    status = judged(shown, moved)
    assert (status["journeys"], status["revisions"]) == (7, [{"revision": "old", "journeys": 7}])
    patch = patch_for(shown, status)
    assert patch is not None
    assert patch["status"]["steps"] is None


def test_a_namesake_is_not_written() -> None:
    value = flow()
    patch = patch_for(value, {"observedGeneration": 1, "conditions": []})
    assert patch is not None
    assert patch["metadata"] == {"uid": value["metadata"]["uid"]}


def test_an_event_tells_of_a_transition_and_of_nothing_else(shop: Cluster) -> None:
    how = standing(shop)
    status = judged(flow(), how)
    (event,) = events_for(flow(), status, "operator-0")
    assert (event["type"], event["reason"], event["regarding"]["uid"]) == ("Normal", "Succeeded", "uid-hello")
    assert events_for({**flow(), "status": status}, status, "operator-0") == []
    waiting = judged(flow(), standing(shop, served=False))
    assert events_for(flow(), waiting, "operator-0") == []


def test_the_same_transition_is_the_same_event(shop: Cluster) -> None:
    status = judged(flow(), standing(shop))
    names = {events_for(flow(), status, instance)[0]["metadata"]["name"] for instance in ("a", "b")}
    assert len(names) == 1


def test_a_status_of_somebody_elses_making_is_replaced() -> None:
    odd = thing("EmailTemplate", "hello", template()["spec"])
    odd["status"] = {"conditions": [{"type": "Ready"}], "phase": "Odd"}
    status = judged(odd, standing(cluster_of(runtime(), odd)))
    patch = patch_for(odd, status)
    assert patch is not None
    assert patch["status"]["phase"] is None


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([varz(sync_always=True), varz("n2", sync_always=True)], ("True", "SyncAlways")),
        ([varz(sync_always=True), varz("n2")], ("False", "SyncInterval")),
        ([{"server": {"name": "leaf"}, "data": {}}], ("Unknown", "SyncUnknown")),
        ([], ("Unknown", "SyncUnknown")),
    ],
)
def test_a_runtime_is_durable_when_every_server_writes_before_it_acknowledges(
    shop: Cluster, answers: list[dict[str, Any]], said: tuple[str, str]
) -> None:
    found = conditions(judged(runtime(), standing(shop, durable=durability(answers))))
    assert found == {"Ready": ("True", "Succeeded"), "Durable": said, "ReceiverClosed": OPEN}


def test_what_nats_said_of_itself_stands_while_it_is_away(shop: Cluster) -> None:
    trouble = Trouble("NatsUnreachable", "no answer", unknown=True)
    away = standing(shop, trouble=trouble, durable=durability([varz(sync_always=True)]))
    assert conditions(judged(runtime(), away))["Durable"] == ("True", "SyncAlways")


def test_a_stream_that_acknowledges_too_soon_is_refused_and_said(shop: Cluster) -> None:
    found = conditions(judged(runtime(), standing(shop, trouble=Trouble("NotDurable", "stream x"))))
    refused = ("False", "NotDurable")
    assert found == {"Ready": refused, "Durable": refused, "ReceiverClosed": OPEN}


def test_a_server_that_is_not_durable_is_an_event(shop: Cluster) -> None:
    status = judged(runtime(), standing(shop, durable=durability([varz()])))
    told = {each["reason"]: each["type"] for each in events_for(runtime(), status, "operator-0")}
    assert told == {"Succeeded": "Normal", "SyncInterval": "Warning"}


def behind(shop: Cluster, lost: int) -> Standing:
    how = standing(shop)
    (plan,) = how.plans.flows.values()
    report = FlowReport(content_hash(plan), plan.revision, behind_retention=lost)
    return replace(how, reports={plan.id: {0: report}})


def test_a_flow_that_has_missed_events_says_so_and_it_is_told_once(shop: Cluster) -> None:
    well = {**flow(), "status": judged(flow(), behind(shop, 0))}
    status = judged(well, behind(shop, 3))
    assert conditions(status) == {
        "Ready": ("True", "Succeeded"),
        "BehindRetention": ("True", "BehindRetention"),
    }
    (event,) = events_for(well, status, "operator-0")
    assert (event["type"], event["reason"]) == ("Warning", "BehindRetention")
    later = judged({**flow(), "status": status}, behind(shop, 4))
    assert events_for({**flow(), "status": status}, later, "operator-0") == []
    unheard = judged({**flow(), "status": status}, replace(behind(shop, 3), reports={}))
    assert "BehindRetention" in conditions(unheard)


def test_a_runtime_without_a_public_url_is_ready_with_a_warning() -> None:
    bare = runtime(publicUrl=None)
    cluster = cluster_of(bare, provider(), flow(), template())
    (ready, *_) = judged(bare, standing(cluster))["conditions"]
    assert (ready["status"], "no links" in ready["message"]) == ("True", True)
    (ready, *_) = judged(runtime(), standing(cluster_of(runtime(), provider())))["conditions"]
    assert "no links" not in ready["message"]


@pytest.mark.parametrize("conditions_kept", [{"Ready": "True"}, ["Ready"], "Ready", [{"type": "Ready"}]])
def test_what_an_earlier_definition_let_in_stops_nobody(conditions_kept: Any) -> None:
    odd = {**flow(), "status": {"conditions": conditions_kept}}
    odd["spec"] = {**odd["spec"], "runtimeRef": {"namespace": ["mail"], "name": 5}}
    cluster = cluster_of(runtime(), provider(), odd, flow("sound"), template())
    how = standing(cluster)
    told = {(value["kind"], value["metadata"]["name"]): value for value in at_home(cluster, MAIL)}
    statuses = {subject: judged(value, how) for subject, value in told.items()}
    assert conditions(statuses["EmailFlow", "hello"])["Ready"][0] == "False"
    assert conditions(statuses["EmailFlow", "sound"])["Ready"] == ("True", "Succeeded")
    assert all(events_for(value, statuses[subject], "a") for subject, value in told.items())


def provider_ready(cluster: Cluster, **more: Any) -> tuple[str, str]:
    value = next(each for each in at_home(cluster, MAIL) if each["kind"] == "EmailProvider")
    return conditions(judged(value, standing(cluster, **more)))["Ready"]


def test_a_provider_is_ready_once_a_runtime_has_reached_it(shop: Cluster) -> None:
    assert provider_ready(shop) == ("True", "Succeeded")
    assert provider_ready(shop, providers={}) == ("Unknown", "Progressing")


def test_a_provider_says_what_its_runtime_found(shop: Cluster) -> None:
    [(name, plan)] = standing(shop).plans.providers.items()  # type: ignore[union-attr]
    missing = ProviderReport(content_hash(plan), "SecretNotFound", "Secret mail/smtp is not there")
    assert provider_ready(shop, providers={name: missing}) == ("False", "SecretNotFound")


def test_a_report_about_other_settings_says_nothing(shop: Cluster) -> None:
    [name] = standing(shop).plans.providers  # type: ignore[union-attr]
    old = ProviderReport("of before", "AuthFailed", "535")
    assert provider_ready(shop, providers={name: old}) == ("Unknown", "Progressing")


def test_a_suspended_provider_says_so(shop: Cluster) -> None:
    value = next(each for each in at_home(shop, MAIL) if each["kind"] == "EmailProvider")
    suspended = {**value, "spec": {**value["spec"], "suspend": True}}
    shop.put("EmailProvider", suspended)
    assert provider_ready(shop) == ("True", "Suspended")
