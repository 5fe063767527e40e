"""The log keeps what was appended, in its order, byte for byte, and tells where it ends."""

import asyncio

import pytest

from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.redrive import Redrive


@pytest.fixture
def log(process):
    return process.log


def entry(number, **fields):
    event = CloudEvent(
        id=f"e{number}",
        source="/shop",
        type="com.example.cart.updated",
        datacontenttype="application/json",
        data=b'{ "number":%d, "name" : "Zo\xc3\xab" }' % number,
        **fields,
    )
    return LogEntry(event=event, contact=f"c{number}", shard=0)


async def stored(other, count):
    """The events of the log with their contacts, as the contacts' feed delivers them to another process."""
    feed = other.feeds.contacts(0)
    await feed.take_over()
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await feed.next_batch()
    await feed.close()
    return [LogEntry(each.event, each.contact, 0, each.redrive) for each in found]


@pytest.mark.parametrize("count", [1, 8, 9, 1200])
async def test_events_keep_order_and_bytes(log, other, count):
    entries = [entry(number) for number in range(count)]

    await log.append(entries)

    assert await log.last_sequence(0) == count
    assert await stored(other, count) == entries


async def test_every_attribute_is_kept(log, other):
    whole = entry(1, subject="Größe 10 %", time="2026-03-07T20:00:00Z", extensions={"traceparent": "00-1"})

    await log.append([whole])

    assert await stored(other, 1) == [whole]


async def test_a_redrive_is_told_beside_its_event(log, other):
    again = LogEntry(entry(1).event, "c1", 0, Redrive("shop_cart", "l1", step="remind", known=True))

    await log.append([again, entry(2)])

    assert await stored(other, 2) == [again, entry(2)]


async def test_binary_data_and_no_data_are_told_apart(log, other):
    type_ = "com.example.file"
    octets = CloudEvent(
        id="1", source="/s", type=type_, datacontenttype="application/octet-stream", data=bytes(range(256))
    )
    nothing = CloudEvent(id="2", source="/s", type=type_)
    await log.append([LogEntry(octets, "c1", 0), LogEntry(nothing, "c1", 0)])

    first, second = await stored(other, 2)

    assert first.event.data == bytes(range(256))
    assert second.event.data is None


async def test_appends_follow_each_other(log, other):
    entries = [entry(number) for number in range(40)]

    await log.append(entries[:20])
    await log.append(entries[20:25])
    await log.append(entries[25:])

    assert await stored(other, 40) == entries


async def test_a_repeat_is_stored_again(log, other):
    await log.append([entry(1)])
    await log.append([entry(1)])

    assert await stored(other, 2) == [entry(1), entry(1)]


async def test_an_empty_log_ends_at_zero(log):
    assert await log.last_sequence(0) == 0
    assert await log.fill() == 0.0


async def test_the_end_is_told_by_shard(log):
    await log.append([entry(1), entry(2)])

    assert await log.last_sequence(0) == 2
    assert await log.last_sequence(1) == 0


async def test_what_journeys_did_stands_apart_from_what_came_in(log, other):
    fact = CloudEvent(id="f1", source="/emailflow", type="dev.emailflow.journey.completed")
    await log.append([entry(1), LogEntry(fact, "c1", 0), entry(2), LogEntry(fact, "c1", 0)])

    assert await log.last_sequence(0) == 4
    assert await log.last_arrival(0) == 3
    assert await log.last_fact(0, [fact.type, "dev.emailflow.journey.exited"]) == 4
    assert await log.last_fact(0, ["dev.emailflow.journey.exited"]) == 0
    assert await log.last_arrival(1) == 0
    assert await stored(other, 2) == [entry(1), entry(2)]
