"""Timers on a real server: a schedule in STATE fires into the timers' feed, a dropped one never does."""

import asyncio
import time

import pytest

from emailflow_api.jetstream.naming import TimerAddress
from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import DropTimer, PutContact, PutTimer
from emailflow_runtime.core.contact import Contact

SECOND = 1_000_000_000


@pytest.fixture
async def store(connection, names):
    made = JetStreamStateStore(connection, names, 0)
    await made.claim()
    return made


@pytest.fixture
async def feed(connection, names):
    held = JetStreamFeeds(connection, names).timers(0)
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


async def test_a_timer_outlives_a_restart_of_the_server(server, store, connection, feed):
    await store.commit([PutTimer(address(1), soon())])

    back = asyncio.create_task(connection.reconnected())
    await server.restart()
    async with asyncio.timeout(20):
        await back

    assert await fired(feed, 1) == [address(1)]
