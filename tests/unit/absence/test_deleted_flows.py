"""A flow that is deleted while it is suspended: its journeys end, and nothing is sent."""

import asyncio

from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_api.plans.carried import GRACE, carry_over

from .shop import ANA, BEN, LEFT, PLANS, PROGRAM, Shop, with_flow

NOW = 1_800_000_000_000_000_000
MINUTE = 60 * 1_000_000_000
NOTHING = replace(PLANS, flows={}, programs={})
SUSPENDED = with_flow(PLANS, suspend=True)
WAITING = replace(PROGRAM, steps=(p.Wait("rest", "hello", duration="PT1H"), *PROGRAM.steps))
RESTING = replace(
    with_flow(PLANS, revision=p.content_hash(WAITING)), programs={p.content_hash(WAITING): WAITING}
)


def flow(plans: p.Plans) -> p.FlowPlan:
    return plans.flows["shop/hello"]


def test_it_is_to_be_left_after_ten_minutes() -> None:
    gone = carry_over(SUSPENDED, NOTHING, (), at=NOW)
    assert (flow(gone).deleted, flow(gone).absent_since, flow(gone).leave) == (True, NOW, False)
    soon = carry_over(gone, NOTHING, (), at=NOW + GRACE - 1)
    assert not flow(soon).leave
    assert flow(carry_over(soon, NOTHING, (), at=NOW + GRACE)).leave


def test_it_is_not_left_by_somebody_who_does_not_know_the_time() -> None:
    gone = carry_over(SUSPENDED, NOTHING, ())
    assert not flow(carry_over(gone, NOTHING, ())).leave
    later = carry_over(gone, NOTHING, (), at=NOW)
    assert (flow(later).absent_since, flow(later).leave) == (NOW, False)


def test_one_that_was_not_suspended_drains() -> None:
    gone = carry_over(PLANS, NOTHING, (), at=NOW)
    assert not flow(carry_over(gone, NOTHING, (), at=NOW + 10 * GRACE)).leave


def test_one_that_says_exit_is_left_at_once() -> None:
    assert flow(carry_over(with_flow(PLANS, deletion_policy="Exit"), NOTHING, ())).leave


def test_one_that_is_there_again_is_as_it_says() -> None:
    gone = carry_over(SUSPENDED, NOTHING, (), at=NOW)
    again = carry_over(gone, SUSPENDED, (), at=NOW + MINUTE)
    assert flow(again) == flow(SUSPENDED)


def test_one_that_is_there_again_and_broken_is_as_it_was() -> None:
    gone = carry_over(SUSPENDED, NOTHING, (), at=NOW)
    again = carry_over(gone, NOTHING, {"EmailFlow/shop/hello"}, at=NOW + 10 * GRACE)
    assert flow(again) == flow(SUSPENDED)


async def test_nothing_is_sent_and_everybody_leaves() -> None:
    shop = Shop(PLANS)
    shop.provider.mood = "defer"
    async with shop.open():
        shop.sign_up(ANA, BEN)
        await shop.until_told("message.deferred", 2)
        shop.provider.mood = "accept"
        await shop.apply(SUSPENDED)
        gone = carry_over(SUSPENDED, NOTHING, (), at=NOW)
        await shop.apply(gone)
        await asyncio.sleep(86_400)
        assert not shop.told("journey.exited")
        await shop.apply(carry_over(gone, NOTHING, (), at=NOW + GRACE))
        exited = await shop.until_told("journey.exited", 2)
        await asyncio.sleep(86_400)
    assert {each["result"] for each in exited} == {"FlowDeleted"}
    assert not shop.mailed
    assert len(shop.told("message.skipped")) == 2


async def test_who_waits_leaves_too_and_another_owner_finds_them() -> None:
    shop = Shop(RESTING)
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("journey.advanced")
        await shop.apply(with_flow(RESTING, suspend=True))
    gone = carry_over(with_flow(RESTING, suspend=True), NOTHING, (), at=NOW)
    await shop.apply(carry_over(gone, NOTHING, (), at=NOW + GRACE))
    async with shop.open():
        await shop.until_told("journey.exited")
        await asyncio.sleep(86_400)
    assert not shop.mailed


async def test_a_flow_that_is_replaced_keeps_its_journeys() -> None:
    shop = Shop(RESTING)
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("journey.advanced")
        suspended = with_flow(RESTING, suspend=True)
        gone = carry_over(suspended, NOTHING, (), at=NOW)
        await shop.apply(gone)
        await asyncio.sleep(300)
        await shop.apply(carry_over(gone, suspended, (), at=NOW + 5 * MINUTE))
        await asyncio.sleep(86_400)
        assert not shop.mailed
        assert not shop.told("journey.exited")
        await shop.apply(RESTING)
        await shop.until_told("message.accepted")
    assert shop.mailed == [ANA]


async def test_exits_that_wait_are_not_needed_any_more() -> None:
    shop = Shop(with_flow(RESTING, deletion_policy="Exit"))
    async with shop.open():
        shop.sign_up(ANA)
        await shop.until_told("journey.advanced")
        await shop.apply(carry_over(with_flow(RESTING, deletion_policy="Exit"), NOTHING, ()))
        [exited] = await shop.until_told("journey.exited")
        shop.happens(LEFT, ANA)
        shop.sign_up(BEN)
        await asyncio.sleep(86_400)
    assert exited["result"] == "FlowDeleted"
    assert len(shop.told("journey.entered")) == 1
    assert not shop.mailed
