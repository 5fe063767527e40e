"""The barrier: nobody overtakes what was accepted before."""

import asyncio
from collections.abc import Collection

import pytest

from emailflow_runtime.app import progress
from emailflow_runtime.app.progress import TYPES, Barrier, Reading, Watermark
from emailflow_runtime.app.stores import Standing


class Log:
    """A log that ends at `end`."""

    def __init__(self, end: int, facts: int = 0) -> None:
        self.end = end
        self.facts = facts
        self.asked = 0

    async def last_arrival(self, shard: int) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        return self.end

    async def last_fact(self, shard: int, types: Collection[str]) -> int:
        await asyncio.sleep(0)
        return self.facts


class Feed:
    """A feed that stands somewhere."""

    def __init__(self, standing: Standing) -> None:
        self._standing = standing
        self.asked = asyncio.Event()

    async def standing(self) -> Standing:
        self.asked.set()
        return self._standing


BUSY = Standing(pending=1, delivered=0, floor=0)
IDLE = Standing(pending=0, delivered=0, floor=0)


def barrier(log: Log, reading: Reading, feed: Feed) -> Barrier:
    return Barrier(log, 0, reading, feed)  # type: ignore[arg-type] # as much of the ports as it uses


async def test_it_waits_for_the_contacts_and_for_the_flows_own_types() -> None:
    reading, mark = Reading(), Watermark()
    waiting = asyncio.create_task(
        barrier(Log(7), reading, Feed(BUSY)).passed(mark, ["order"], Feed(BUSY))  # type: ignore[arg-type]
    )
    reading.note([("order", 5), ("other", 7)])
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    mark.advance(5)
    await asyncio.wait_for(waiting, 5)


async def test_a_flow_that_nothing_is_left_for_is_not_waited_for() -> None:
    reading, mark = Reading(), Watermark()
    reading.note([("order", 5)])
    one = barrier(Log(5), reading, Feed(IDLE))
    await asyncio.wait_for(one.passed(mark, ["order"], Feed(IDLE)), 5)  # type: ignore[arg-type]
    assert mark.value == 5


async def test_many_waiters_share_one_question() -> None:
    log, reading = Log(3), Reading()
    reading.note([("order", 3)])
    one = barrier(log, reading, Feed(IDLE))
    assert await asyncio.gather(*(one.end() for _ in range(50))) == [3] * 50
    assert log.asked <= 2


async def test_a_waiter_who_is_cancelled_takes_the_answer_from_nobody() -> None:
    one = barrier(Log(3), Reading(), Feed(IDLE))
    waiting = [asyncio.create_task(one.end()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting[1:]) == [3, 3]
        assert await one.end() == 3
    assert waiting[0].cancelled()


async def test_an_answer_that_can_not_be_had_is_everybodys_error() -> None:
    class Broken(Log):
        async def last_arrival(self, shard: int) -> int:
            raise ValueError(await super().last_arrival(shard))

    one = barrier(Broken(3), Reading(), Feed(IDLE))
    async with asyncio.timeout(5):
        found = await asyncio.gather(*(one.end() for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in found] == [ValueError] * 3


async def test_a_flow_that_facts_trigger_waits_for_them_too() -> None:
    reading, mark = Reading(), Watermark()
    reading.note([("order", 3)])
    one = barrier(Log(3, facts=9), reading, Feed(IDLE))
    types = ["dev.emailflow.journey.completed"]
    waiting = asyncio.create_task(one.passed(mark, types, Feed(BUSY)))  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    mark.advance(8)
    await asyncio.sleep(0)
    assert not waiting.done()
    mark.advance(9)
    async with asyncio.timeout(5):
        await waiting


async def test_what_journeys_did_is_not_waited_for_at_the_contacts() -> None:
    reading = Reading()
    reading.note([("order", 3)])
    async with asyncio.timeout(5):
        await barrier(Log(3), reading, Feed(BUSY)).read(9)


async def test_nobody_asks_about_a_reader_any_more_when_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "RECHECK", 0)
    feed, reading = Feed(BUSY), Reading()
    waiting = asyncio.create_task(
        barrier(Log(7), reading, feed).passed(Watermark(), ["order"], Feed(BUSY))  # type: ignore[arg-type]
    )
    async with asyncio.timeout(5):
        await feed.asked.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while len(asyncio.all_tasks()) > 1:
            await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()})


async def test_after_a_take_over_a_flow_first_decides_what_its_predecessors_reader_had_passed() -> None:
    reading, mark = Reading(), Watermark()
    reading.begin(9)
    reading.mark.advance(9)
    one = barrier(Log(9), reading, Feed(IDLE))
    waiting = asyncio.create_task(one.passed(mark, ["order"], Feed(BUSY)))  # type: ignore[arg-type]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    mark.advance(9)
    async with asyncio.timeout(5):
        await waiting


def test_types_without_end_are_no_memory_without_end_and_nothing_is_overtaken() -> None:
    reading = Reading()
    reading.note([("rare", 1)])
    for number in range(2, 5 * TYPES):
        reading.note([(f"invented{number}", number)])
    last = 5 * TYPES - 1
    assert len(reading._last) == TYPES
    assert reading.last_of([f"invented{last}"]) == last
    # What is forgotten counts as read later than it was, never earlier.
    assert 1 <= reading.last_of(["rare"]) <= last - TYPES
