"""Which plans are in force: broken keeps, gone drains, drained goes."""

from emailflow_api.plans import content_hash
from emailflow_api.reports import FlowReport
from emailflow_operator.reconcile.cluster import Cluster
from emailflow_operator.reconcile.desired import Compiled, plans_in_force

from .conftest import cluster_of, compiled_for, event_type, flow, provider, runtime, template

MAIL = ("mail", "default")


def compiled(cluster: Cluster) -> Compiled:
    return compiled_for(MAIL, cluster)


def report(plan, **journeys: int) -> dict[int, FlowReport]:
    return {0: FlowReport(plan=content_hash(plan), revision=plan.revision, journeys=journeys)}


def test_what_is_sound_is_in_force(shop: Cluster) -> None:
    plans = plans_in_force(MAIL, compiled(shop), None, {})
    assert plans is not None
    assert set(plans.flows) == {"mail/hello"}


def test_a_broken_flow_keeps_its_last_good_version(shop: Cluster) -> None:
    before = plans_in_force(MAIL, compiled(shop), None, {})
    shop.put("EmailFlow", flow(continueIf="contact."))
    after = plans_in_force(MAIL, compiled(shop), before, {})
    assert after is not None
    assert after.flows == before.flows


def test_a_runtime_that_is_unusable_drains_nothing(shop: Cluster) -> None:
    before = plans_in_force(MAIL, compiled(shop), None, {})
    shop.put("EmailRuntime", runtime(defaults={"timezone": "Nowhere/Land"}))
    assert plans_in_force(MAIL, compiled(shop), before, {}) is before
    assert plans_in_force(MAIL, compiled(shop), None, {}) is None


def test_a_flow_that_is_no_longer_let_in_drains() -> None:
    guest = flow(namespace="shop", runtimeRef={"name": "default", "namespace": "mail"})
    rest = (provider(), event_type("All"), guest, template(namespace="shop"))
    before = plans_in_force(
        MAIL, compiled(cluster_of(runtime(allowedNamespaces={"from": "All"}), *rest)), None, {}
    )
    after = plans_in_force(MAIL, compiled(cluster_of(runtime(), *rest)), before, {})
    assert after is not None
    assert after.flows["shop/hello"].deleted


def test_a_deleted_flow_goes_only_when_every_shard_has_spoken_of_the_deleted_plan(shop: Cluster) -> None:
    before = plans_in_force(MAIL, compiled(shop), None, {})
    stale = report(before.flows["mail/hello"])
    shop.remove("EmailFlow", "mail", "hello")
    marked = plans_in_force(MAIL, compiled(shop), before, {"mail_hello": stale})
    assert marked is not None
    plan = marked.flows["mail/hello"]
    assert plan.deleted

    running = {"mail_hello": report(plan, **{plan.revision: 1})}
    assert "mail/hello" in plans_in_force(MAIL, compiled(shop), marked, running).flows
    drained = plans_in_force(MAIL, compiled(shop), marked, {"mail_hello": report(plan)})
    assert (drained.flows, drained.programs) == ({}, {})


def test_a_revision_without_journeys_is_forgotten(shop: Cluster) -> None:
    first = plans_in_force(MAIL, compiled(shop), None, {})
    old = first.flows["mail/hello"].revision
    shop.put("EmailFlow", flow(trigger={"types": ["com.example.other"]}))
    second = plans_in_force(MAIL, compiled(shop), first, {})
    plan = second.flows["mail/hello"]
    assert plan.earlier == (old,)
    assert set(second.programs) == {old, plan.revision}

    kept = plans_in_force(MAIL, compiled(shop), second, {"mail_hello": report(plan, **{old: 2})})
    assert kept == second
    pruned = plans_in_force(MAIL, compiled(shop), second, {"mail_hello": report(plan)})
    assert pruned.flows["mail/hello"].earlier == ()
    assert set(pruned.programs) == {plan.revision}


def test_nothing_drains_while_a_shard_is_silent() -> None:
    cluster = cluster_of(runtime(shards=2), provider(), flow(), template())
    before = plans_in_force(MAIL, compiled(cluster), None, {})
    cluster.remove("EmailFlow", "mail", "hello")
    marked = plans_in_force(MAIL, compiled(cluster), before, {})
    one_of_two = {"mail_hello": report(marked.flows["mail/hello"])}
    assert "mail/hello" in plans_in_force(MAIL, compiled(cluster), marked, one_of_two).flows
