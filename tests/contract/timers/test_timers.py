"""A timer that was committed fires into the timers' feed, a dropped one never does."""

import asyncio
import time

import pytest

from emailflow_api.jetstream.naming import TimerAddress
from emailflow_runtime.app.stores import DropTimer, PutContact, PutTimer
from emailflow_runtime.core.contact import Contact

SECOND = 1_000_000_000


@pytest.fixture
async def store(process):
    await process.state.claim()
    return process.state


@pytest.fixture
async def feed(process):
    held = process.feeds.timers(0)
    await held.take_over()
    yield held
    await held.close()


def address(number):
    return TimerAddress("shop_cart", "c1", "i1", "j1", number)


def fillers():
    """Enough to make a commit a batch."""
    return [PutContact(Contact(key=f"c{number}")) for number in range(10)]


def soon():
    return time.time_ns() + SECOND


async def fired(feed, count):
    """The addresses of the next timers, in the order in which they fire."""
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await feed.next_batch()
    return [each.address for each in found]


async def test_a_timer_fires_with_its_address_and_not_early(store, feed):
    at = soon()
    await store.commit([PutTimer(address(3), at)])

    async with asyncio.timeout(20):
        (timer,) = await feed.next_batch()

    assert timer.address == address(3)
    assert timer.at >= at


async def test_a_timer_of_the_past_fires_at_once(store, feed):
    await store.commit([PutTimer(address(1), time.time_ns() - 3600 * SECOND)])

    assert await fired(feed, 1) == [address(1)]


@pytest.mark.parametrize("beside", [[], fillers()], ids=["singly", "in a batch"])
async def test_a_dropped_timer_does_not_fire(store, feed, beside):
    at = soon()
    await store.commit([PutTimer(address(1), at), *beside])
    await store.commit([DropTimer(address(1)), *beside])
    # A timer that is due later shows that the moment of the dropped one has passed.
    await store.commit([PutTimer(address(2), at + SECOND)])

    assert await fired(feed, 1) == [address(2)]


async def test_one_commit_drops_a_timer_and_sets_the_next(store, feed):
    at = soon()
    await store.commit([PutTimer(address(1), at)])
    await store.commit([DropTimer(address(1)), PutTimer(address(2), at + SECOND), *fillers()])

    assert await fired(feed, 1) == [address(2)]


async def test_dropping_a_timer_that_fired_changes_nothing(store, feed):
    await store.commit([PutTimer(address(1), soon())])
    assert await fired(feed, 1) == [address(1)]

    await store.commit([DropTimer(address(1)), PutTimer(address(2), soon())])

    assert await fired(feed, 1) == [address(2)]


async def test_timers_of_a_batch_all_fire(store, feed):
    at = soon()
    await store.commit([PutTimer(address(number), at) for number in range(300)])

    assert sorted(await fired(feed, 300)) == [address(number) for number in range(300)]


async def test_a_timer_fires_although_its_owner_has_lost_the_epoch(store, other):
    await store.commit([PutTimer(address(1), soon())])
    await other.state.claim()
    feed = other.feeds.timers(0)
    await feed.take_over()

    assert await fired(feed, 1) == [address(1)]
    await feed.close()
