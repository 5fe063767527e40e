"""The relay: facts go out in order, and its position never passes one that is not out."""

import asyncio
from collections.abc import Sequence

from emailflow_runtime.app.relay import MAX_BATCH, MAX_BYTES, ROOM, ROOM_BYTES, Parcel, Relay
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import MessageTooLarge


class Log:
    """Takes everything, one batch at a time."""

    largest = 8 << 20

    def __init__(self) -> None:
        self.ids: list[str] = []

    async def append(self, entries: Sequence[LogEntry]) -> None:
        await asyncio.sleep(0)
        self.ids += [entry.event.id for entry in entries]


def parcel(sequence: int, *ids: str) -> Parcel:
    events = [LogEntry(CloudEvent(id=each, source="/s", type="t"), "c", 0) for each in ids]
    return Parcel(sequence, events, lambda: None)


async def test_the_position_stays_below_a_commit_of_which_facts_still_wait() -> None:
    # A commit's messages have sequences of their own, here 5 to 7, and a record may stand at each of them.
    log, noted = Log(), list[tuple[int, int]]()
    relay = Relay(log, lambda position: noted.append((position, len(log.ids))))  # type: ignore[arg-type]
    relay.put(parcel(4, "before"))
    for number in range(MAX_BATCH):
        relay.put(parcel(7, f"f{number}"))
    running = asyncio.create_task(relay.run())
    await asyncio.wait_for(relay.drained(), 5)
    running.cancel()
    assert noted == [(4, MAX_BATCH), (7, MAX_BATCH + 1)]
    assert log.ids == ["before", *(f"f{number}" for number in range(MAX_BATCH))]


async def test_small_batches_grow_for_a_moment() -> None:
    batches: list[int] = []

    class Counting(Log):
        async def append(self, entries: Sequence[LogEntry]) -> None:
            batches.append(len(entries))
            await super().append(entries)

    relay = Relay(Counting(), lambda _: None)  # type: ignore[arg-type]
    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(5):
        relay.put(parcel(1, "first"))
        await relay.drained()
        for number in range(5):
            relay.put(parcel(2 + number, f"next{number}"))
            await asyncio.sleep(0)
        await relay.drained()
    running.cancel()
    assert batches == [1, 5]


async def test_readers_wait_while_too_many_facts_do() -> None:
    log = Log()
    relay = Relay(log, lambda _: None)  # type: ignore[arg-type]
    await relay.room()
    for number in range(ROOM + 1):
        relay.put(parcel(number, f"f{number}"))
    waiting = asyncio.create_task(relay.room())
    await asyncio.sleep(0)
    assert not waiting.done()

    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(20):
        await waiting
    running.cancel()
    assert log.ids


def large(sequence: int, size: int) -> Parcel:
    event = CloudEvent(id=f"l{sequence}", source="/s", type="t", data=b"x" * size)
    return Parcel(sequence, [LogEntry(event, "c", 0)], lambda: None)


async def test_large_facts_wait_in_bounds_and_go_out_some_at_a_time() -> None:
    sizes: list[int] = []

    class Weighing(Log):
        async def append(self, entries: Sequence[LogEntry]) -> None:
            sizes.append(sum(len(entry.event.data or b"") for entry in entries))
            await super().append(entries)

    relay = Relay(Weighing(), lambda _: None)  # type: ignore[arg-type]
    for number in range(ROOM_BYTES // 1_000_000 + 1):
        relay.put(large(number, 1_000_000))
    waiting = asyncio.create_task(relay.room())
    await asyncio.sleep(0)
    assert not waiting.done()

    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(20):
        await waiting
        await relay.drained()
    running.cancel()
    assert max(sizes) <= MAX_BYTES


async def test_a_fact_that_no_message_holds_keeps_no_other_back() -> None:
    class Refusing(Log):
        async def append(self, entries: Sequence[LogEntry]) -> None:
            if any(len(entry.event.data or b"") > self.largest for entry in entries):
                raise MessageTooLarge("expected less")
            await super().append(entries)

    log, noted = Refusing(), list[int]()
    relay = Relay(log, noted.append)  # type: ignore[arg-type]
    relay.put(parcel(1, "before"))
    relay.put(large(2, log.largest + 1))
    relay.put(parcel(3, "after"))
    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(20):
        await relay.drained()
    running.cancel()
    assert log.ids == ["before", "after"]
    assert noted[-1] == 3
