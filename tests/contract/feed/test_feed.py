"""A feed has one holder at a time, gives everything in order, and loses nothing between two holders."""

import asyncio

import pytest

from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent

WITHIN = 20


@pytest.fixture
def log(process):
    return process.log


@pytest.fixture
async def first(process):
    feed = process.feeds.contacts(0)
    yield feed
    await feed.close()


@pytest.fixture
async def second(other):
    feed = other.feeds.contacts(0)
    yield feed
    await feed.close()


def entries(start, stop, kind="com.example.tick"):
    events = [CloudEvent(id=str(number), source="/s", type=kind) for number in range(start, stop)]
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
        while (await feed.standing()).floor < batch[-1].sequence:  # noqa: ASYNC110 - tells what is, not when
            await asyncio.sleep(0)


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


async def test_what_was_acknowledged_out_of_order_does_not_come_before_its_turn(log, first, second):
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


async def test_an_owner_that_takes_over_again_starts_at_the_floor(log, first):
    await first.take_over()
    await log.append(entries(0, 6))
    await acknowledged(first, (await take(first, 6))[:2])

    await first.take_over()

    assert ids(await take(first, 4)) == [2, 3, 4, 5]


async def test_a_stale_acknowledgement_of_what_did_not_come_again_counts_for_nothing(log, first, second):
    await first.take_over()
    await log.append(entries(0, 4))
    held = await take(first, 4)
    await second.take_over()

    first.acknowledge(held)
    # Its own connection keeps the order, so the acknowledgements are there before this answer.
    assert (await first.standing()).floor == 0

    assert ids(await take(second, 4)) == [0, 1, 2, 3]


async def test_a_stale_acknowledgement_of_what_came_again_counts(log, first, second):
    await first.take_over()
    await log.append(entries(0, 4))
    held = await take(first, 4)
    await second.take_over()
    await take(second, 4)

    await acknowledged(first, held)

    assert (await second.take_over()).pending == 0


async def test_what_went_to_somebody_else_meanwhile_comes_in_its_turn(backend, log, first, second):
    await first.take_over()
    await log.append(entries(0, 2))
    await take(first, 2)
    await second.take_over()
    await take(second, 2)
    # As after a long silence of its holder: the consumer is free, and a stale owner pulls first.
    stale = asyncio.create_task(take(first, 1))
    await backend.unpin_contacts()
    await log.append(entries(2, 3))
    await stale
    await backend.unpin_contacts()

    await log.append(entries(3, 5))

    found = []
    async with asyncio.timeout(WITHIN):
        while 4 not in found:
            found += ids(await second.next_batch())
    # Some may come once more, but never a later one before an earlier one.
    firsts = list(dict.fromkeys(found))
    assert [each for each in firsts if each >= 2] == [2, 3, 4]


async def test_a_holder_in_between_is_noticed_also_when_the_numbers_fit(backend, log, first, second):
    await first.take_over()
    await log.append(entries(0, 3))
    await acknowledged(first, await take(first, 3))
    await second.take_over()
    await log.append(entries(3, 6))
    await take(second, 3)
    await second.close()
    await backend.unpin_contacts()

    await log.append(entries(6, 7))

    found = []
    async with asyncio.timeout(WITHIN):
        while 6 not in found:
            found += ids(await first.next_batch())
    assert list(dict.fromkeys(found)) == [3, 4, 5, 6]


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


async def test_the_standing_tells_what_is_left_and_how_far_it_came(log, first):
    await first.take_over()
    await log.append(entries(0, 7))
    await acknowledged(first, (await take(first, 7))[:3])

    standing = await first.standing()

    assert (standing.pending, standing.delivered, standing.floor) == (0, 7, 3)


async def test_a_flow_gets_the_types_it_asked_for_from_its_first_day_on(backend, log, process):
    await log.append(entries(0, 2, "com.example.order"))
    await backend.provide_flow("shop_cart", "com.example.order")
    feed = process.feeds.flow("shop_cart", 0)
    await feed.take_over()

    await log.append([*entries(2, 4), *entries(4, 6, "com.example.order")])

    assert ids(await take(feed, 2)) == [4, 5]
    await feed.close()


async def test_who_takes_over_a_flow_waits_until_its_consumer_is_there(backend, log, process):
    feed = process.feeds.flow("shop_cart", 0)
    taking_over = asyncio.create_task(feed.take_over())
    await backend.provide_flow("shop_cart", "com.example.order")
    async with asyncio.timeout(WITHIN):
        await taking_over

    await log.append(entries(0, 1, "com.example.order"))

    assert ids(await take(feed, 1)) == [0]
    await feed.close()


async def floor_at(feed, sequence):
    async with asyncio.timeout(WITHIN):
        while (await feed.standing()).floor < sequence:  # noqa: ASYNC110 - tells what is, not when
            await asyncio.sleep(0)


async def test_what_is_no_event_is_a_dead_letter_and_done_with(backend, log, first):
    await first.take_over()
    await log.append(entries(0, 1))
    await backend.store("com.example.tick", b"no event")
    await log.append(entries(1, 2))

    found = await take(first, 2)
    assert ids(found) == [0, 1]
    first.acknowledge(found)

    await floor_at(first, 3)
    assert await backend.unread() == [("MissingAttribute", "_contacts", 2, b"no event")]


async def test_what_is_no_event_at_the_end_of_the_log_leaves_nothing_to_wait_for(backend, log, first):
    await first.take_over()
    await log.append(entries(0, 1))
    await backend.store("com.example.tick", b"no event")
    first.acknowledge(await take(first, 1))
    waiting = asyncio.create_task(first.next_batch())

    await floor_at(first, 2)

    standing = await first.standing()
    assert (standing.pending, standing.delivered) == (0, 2)
    waiting.cancel()


async def test_each_reader_of_what_is_no_event_puts_it_aside(backend, log, process, first):
    await backend.provide_flow("shop_cart", "com.example.order")
    feed = process.feeds.flow("shop_cart", 0)
    await feed.take_over()
    await first.take_over()

    await backend.store("com.example.order", b"no event")
    await log.append(entries(1, 2, "com.example.order"))

    for each in (feed, first):
        each.acknowledge(await take(each, 1))
        await floor_at(each, 2)
    assert sorted(origin for _, origin, _, _ in await backend.unread()) == ["_contacts", "shop_cart"]
    await feed.close()
