"""Plans reach whoever watches, whole, and again after each change."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from emailflow_api import plans as p

WITHIN = 20
RUNTIME = p.RuntimePlan(namespace="mail", name="default")


@pytest.fixture
async def watched(other):
    """The plans as another process sees them, one after the other."""
    async with contextlib.aclosing(other.plans.snapshots()) as snapshots:
        yield snapshots


def plans(**fields):
    program = p.Program(
        trigger=p.Trigger(types=("com.example.signed_up",)),
        steps=(p.Send(name="welcome", next=p.END, template="shop/welcome"),),
    )
    revision = p.content_hash(program)
    flow = p.FlowPlan(namespace="shop", name="onboarding", revision=revision)
    whole = p.Plans(RUNTIME, flows={"shop/onboarding": flow}, programs={revision: program})
    return replace(whole, **fields)


async def reaches(snapshots, wanted):
    """Return once the watcher sees these plans: on the way it may see a part of a write."""
    async with asyncio.timeout(WITHIN):
        async for found in snapshots:
            if found == wanted:
                return


async def test_plans_are_read_as_they_were_written(process, watched):
    await process.plans.write(plans())

    await reaches(watched, plans())


async def test_who_comes_later_sees_what_is(process, watched):
    await process.plans.write(plans())
    await process.plans.write(plans(policies={"offers": p.PolicyPlan(name="offers", topic="offers")}))

    await reaches(watched, plans(policies={"offers": p.PolicyPlan(name="offers", topic="offers")}))


async def test_a_change_arrives_where_plans_are_watched(process, watched):
    await process.plans.write(plans())
    await reaches(watched, plans())
    changed = plans(policies={"offers": p.PolicyPlan(name="offers", topic="offers")})

    await process.plans.write(changed)

    await reaches(watched, changed)
