"""What a pod says of flows in REPORTS, which the operator and `kubectl get` live on."""

import asyncio

import pytest
from msgspec.structs import replace

from emailflow_api.plans import SecretKey, content_hash
from emailflow_api.plans.drained import without_drained
from emailflow_runtime.adapters.jetstream.report_bucket import ReportBucket

from .conftest import NAMES, until

FLOW = "mail/hello"
ID = "mail_hello"


@pytest.fixture
def reports(operator):
    return ReportBucket(operator.connection, NAMES)


@pytest.fixture
async def ready(pod, operator, plans):
    """A pod whose flow waits a day."""
    (revision,) = plans.programs
    waiting = replace(plans.programs[revision], steps=compile_wait(plans))
    changed = content_hash(waiting)
    plans.programs = {changed: waiting}
    plans.flows = {FLOW: replace(plans.flows[FLOW], revision=changed)}
    await operator.make_streams(plans)
    await operator.apply(plans)
    await pod.start()
    assert await until(pod.is_ready), pod.log.read_text()
    return pod


def compile_wait(plans):
    from emailflow_api import plans as p

    (program,) = plans.programs.values()
    return (p.Wait(name="settle", next=program.steps[0].name, duration="P1D"), *program.steps)


async def reported(reports, holds):
    """The report of the flow once it is like that."""

    async def asked():
        found = (await reports.all()).get(ID, {}).get(0)
        return found if found is not None and holds(found) else None

    found = await until(asked)
    assert found, await reports.all()
    return found


async def test_a_provider_says_what_it_lacks_and_when_it_has_it(ready, plans, operator, reports):
    (name,) = plans.providers
    (plan,) = plans.providers.values()

    async def reason(wanted):
        async def asked():
            found = (await reports.read_providers()).get(name)
            return found is not None and found.plan == content_hash(plan) and found.reason == wanted

        return await until(asked)

    assert await reason(""), await reports.read_providers()
    key = SecretKey(plans.runtime.namespace, "smtp", "password")
    plan = replace(plan, transport=replace(plan.transport, username="shop", password=key))
    plans.providers = {name: plan}
    await operator.apply(plans)
    assert await reason("SecretNotFound"), await reports.read_providers()


async def test_a_plan_in_force_is_acknowledged(ready, plans, reports):
    plan = plans.flows[FLOW]

    found = await reported(reports, lambda each: each.plan == content_hash(plan))

    assert (found.revision, found.journeys, found.steps) == (plan.revision, {}, {})


async def test_a_change_is_acknowledged_within_two_seconds(ready, plans, operator, reports):
    await reported(reports, lambda each: True)
    changed = replace(plans.flows[FLOW], generation=7)
    await operator.apply(replace(plans, flows={FLOW: changed}))
    async with asyncio.timeout(2):
        await reported(reports, lambda each: each.plan == content_hash(changed))


async def test_journeys_are_counted_by_revision_and_step_also_after_a_restart(ready, plans, reports):
    for name in ("ana", "bob"):
        assert (await ready.post(name))[0] == 202
    revision = plans.flows[FLOW].revision
    found = await reported(reports, lambda each: each.journeys == {revision: 2})
    assert found.steps == {"settle": 2}
    await ready.stop()

    await ready.start()
    assert (await ready.post("eve"))[0] in {202, 503}

    async def accepted():
        return (await ready.post("eve"))[0] == 202

    assert await until(accepted)
    found = await reported(reports, lambda each: each.journeys == {revision: 3})
    assert found.steps == {"settle": 3}


async def test_a_deleted_flow_stays_while_somebody_is_in_it(ready, plans, operator, reports):
    await ready.post("ana")
    await reported(reports, lambda each: each.journeys)

    gone = replace(plans, flows={FLOW: replace(plans.flows[FLOW], deleted=True)})
    await operator.apply(gone)

    await reported(reports, lambda each: each.plan == content_hash(gone.flows[FLOW]))
    assert FLOW in without_drained(gone, await reports.all()).flows


async def test_a_deleted_flow_that_nobody_is_in_may_go(ready, plans, operator, reports):
    gone = replace(plans, flows={FLOW: replace(plans.flows[FLOW], deleted=True)})
    await operator.apply(gone)

    await reported(reports, lambda each: each.plan == content_hash(gone.flows[FLOW]))
    assert without_drained(gone, await reports.all()).flows == {}


async def test_a_flow_that_is_gone_leaves_no_report(ready, plans, operator, reports):
    await reported(reports, lambda each: True)

    await operator.apply(replace(plans, flows={}))

    async def none_left():
        return not await reports.all()

    assert await until(none_left)
