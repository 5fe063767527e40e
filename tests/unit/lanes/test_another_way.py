"""Other credentials or settings: a provider that is down may be reached by another way."""

import asyncio

import pytest
from tests.unit.lanes.mails import DOWN, TAKEN, fail, handed_over, now, provider

from emailflow_runtime.app.breaker import TRIP_AFTER
from emailflow_runtime.app.lanes import Lane, LaneClosed
from emailflow_runtime.core.outcomes import Deferred, Outcome


async def test_a_provider_that_is_down_is_tried_at_once_with_other_credentials() -> None:
    lane = Lane(provider(), 1.0)
    lane.goes_through("old")
    await fail(lane)

    lane.goes_through("new")

    assert await handed_over(lane, TAKEN) == now()
    assert not lane.down


async def test_the_same_credentials_change_nothing() -> None:
    lane = Lane(provider(), 1.0)
    lane.goes_through("old")
    await fail(lane)

    lane.goes_through("old")

    with pytest.raises(LaneClosed):
        lane.check()


async def test_one_mail_tries_other_credentials_and_the_others_wait_for_what_comes_of_it() -> None:
    lane = Lane(provider(), 1.0)
    lane.goes_through("old")
    await fail(lane)
    lane.goes_through("new")
    async with lane.slot("a@example.com"):
        with pytest.raises(LaneClosed):
            lane.check()

    await handed_over(lane, DOWN)

    with pytest.raises(LaneClosed):
        lane.check()


async def test_what_fails_by_the_old_credentials_says_nothing_about_the_new_ones() -> None:
    lane = Lane(provider(), 1.0)
    lane.goes_through("old")
    for _ in range(TRIP_AFTER):
        await handed_over(lane, TAKEN)
    hold = asyncio.Event()

    async def held() -> Outcome:
        await hold.wait()
        return DOWN

    async def begun_before() -> None:
        async with lane.slot("a@example.com"):
            await lane.watch(held())

    before = [asyncio.create_task(begun_before()) for _ in range(TRIP_AFTER)]
    await asyncio.sleep(1)
    lane.goes_through("new")
    hold.set()
    await asyncio.gather(*before)

    lane.check()


async def test_other_credentials_don_t_hurry_a_provider_that_says_when() -> None:
    lane = Lane(provider(), 1.0)
    lane.goes_through("old")
    await handed_over(lane, Deferred("Throttled", systemic=True, retry_after=300))

    lane.goes_through("new")

    with pytest.raises(LaneClosed):
        lane.check()
    await asyncio.sleep(300)
    lane.check()
