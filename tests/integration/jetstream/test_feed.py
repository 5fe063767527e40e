"""Feeds on a real server: one owner at a time, in order, nothing lost between two of them."""

import asyncio

import pytest

from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent

WITHIN = 20


@pytest.fixture
def log(connection, names):
    return JetStreamEventLog(connection, names)


@pytest.fixture
async def first(connection, names):
    feed = JetStreamFeeds(connection, names).contacts(0)
    yield feed
    await feed.close()


@pytest.fixture
async def second(other, names):
    feed = JetStreamFeeds(other, names).contacts(0)
    yield feed
    await feed.close()


def entries(start, stop):
    events = [
        CloudEvent(id=str(number), source="/s", type="com.example.tick") for number in range(start, stop)
    ]
    return [LogEntry(event, "c1", 0) for event in events]


async def take(feed, count):
    found = []
    async with asyncio.timeout(WITHIN):
        while len(found) < count:
            found += await feed.next_batch()
    return found


def ids(delivered):
    return [int(each.event.id) for each in delivered]


async def acknowledged(feed, batch):
    """Acknowledge, and return when the server knows: then its floor is at the batch's end."""
    feed.acknowledge(batch)
    async with asyncio.timeout(WITHIN):
        while (await feed.standing()).floor < batch[-1].sequence:
            pass


async def test_a_second_owner_gets_what_was_not_acknowledged_in_order(log, first, second):
    await first.take_over()
    await log.append(entries(0, 20))
    held = await take(first, 20)
    await acknowledged(first, held[:5])

    standing = await second.take_over()

    assert (standing.pending, standing.floor) == (15, 5)
    assert ids(await take(second, 15)) == list(range(5, 20))


async def test_the_first_owner_gets_nothing_more(log, first, second):
    await first.take_over()
    await log.append(entries(0, 3))
    await take(first, 3)
    waiting = asyncio.create_task(first.next_batch())
    await second.take_over()
    await take(second, 3)

    await log.append(entries(3, 6))

    assert ids(await take(second, 3)) == [3, 4, 5]
    assert not waiting.done()
    waiting.cancel()


async def test_what_was_acknowledged_out_of_order_does_not_come_back(log, first, second):
    await first.take_over()
    await log.append(entries(0, 6))
    held = await take(first, 6)
    first.acknowledge([held[1], held[4]])
    await acknowledged(first, held[:1])

    await second.take_over()

    found = ids(await take(second, 3))
    assert found[0] == 2
    assert set(found) >= {2, 3, 5}
    assert found == sorted(found)


async def test_everything_acknowledged_leaves_nothing(log, first, second):
    await first.take_over()
    await log.append(entries(0, 4))
    await acknowledged(first, await take(first, 4))

    standing = await second.take_over()
    await log.append(entries(4, 5))

    assert standing.pending == 0
    assert ids(await take(second, 1)) == [4]


async def test_many_batches_stay_open_and_in_order(log, first):
    await first.take_over()
    await log.append(entries(0, 1500))

    assert ids(await take(first, 1500)) == list(range(1500))


async def test_a_feed_goes_on_after_a_restart_of_the_server(server, connection, log, first):
    await first.take_over()
    await log.append(entries(0, 2))
    await acknowledged(first, await take(first, 2))
    back = asyncio.create_task(connection.reconnected())
    await server.restart()
    async with asyncio.timeout(WITHIN):
        await back
    await log.append(entries(2, 4))

    found = await take(first, 2)

    assert ids(found) == [2, 3]


async def test_what_is_no_event_is_passed_by(log, first, connection, names):
    await first.take_over()
    await connection.request(names.event_subject(0, "com.example.tick"), b"no event", None)
    await log.append(entries(1, 2))

    assert ids(await take(first, 1)) == [1]
