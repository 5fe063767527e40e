"""What kills its owner three times is put aside, and nothing else is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.shard_state import ShardState
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.inhand import DEATHS, OneByOne
from emailflow_runtime.app.stores import InHand
from emailflow_runtime.app.writer import Writer


class Owners:
    """Owners of one shard, one after the other. Each one's end is unclean unless it says otherwise."""

    def __init__(self) -> None:
        self.state = ShardState(LoopClock(time.time_ns(), zero=asyncio.get_running_loop().time()))
        self.turn = asyncio.Lock()

    @asynccontextmanager
    async def next(self) -> AsyncIterator[OneByOne]:
        store = InMemoryStateStore(self.state)
        await store.claim()
        writer = Writer(store)
        writing = asyncio.create_task(writer.run())
        made = OneByOne(writer, self.turn)
        await made.begin(await store.in_hand())
        yield made
        await writer.barrier()
        writing.cancel()

    async def die(self, name: str, *before: str) -> None:
        """An owner that decides on these, and does not survive the last."""
        async with self.next() as owner:
            for each in before:
                async with owner.holding(each) as poison:
                    assert not poison
            held = owner.holding(name)
            assert not await held.__aenter__()
            # The process is gone, and its lock with it.
            self.turn = asyncio.Lock()

    async def poison(self, name: str) -> bool:
        async with self.next() as owner, owner.holding(name) as poison:
            return poison


@pytest.fixture
async def owners() -> Owners:
    made = Owners()
    # The first one of all finds nothing, and ends without a word.
    async with made.next() as first:
        assert not first.unclean
    return made


async def test_what_three_owners_did_not_survive_is_poison_and_stays_so(owners: Owners) -> None:
    for _ in range(DEATHS):
        await owners.die("flow 7")
    assert await owners.poison("flow 7")
    # Its acknowledgement may be lost.
    assert await owners.poison("flow 7")
    assert not await owners.poison("flow 8")


async def test_two_deaths_are_not_enough(owners: Owners) -> None:
    for _ in range(DEATHS - 1):
        await owners.die("flow 7")
    assert not await owners.poison("flow 7")


async def test_what_an_owner_came_back_from_counts_for_nothing(owners: Owners) -> None:
    for number in range(DEATHS + 1):
        await owners.die(f"flow {number}", "flow 100")
    assert not await owners.poison("flow 100")


async def test_deaths_count_also_when_earlier_inputs_come_again_in_between(owners: Owners) -> None:
    await owners.die("flow 7", "flow 5", "flow 6")
    await owners.die("flow 7", "flow 6")
    await owners.die("flow 7", "flow 5")
    assert await owners.poison("flow 7")


async def test_after_a_good_end_nothing_is_held(owners: Owners) -> None:
    for _ in range(DEATHS):
        await owners.die("flow 7")
    async with owners.next() as last:
        last.end()
    async with owners.next() as owner:
        assert not owner.unclean
        async with owner.holding("flow 7") as poison:
            assert not poison
    # What was known before the good end is forgotten.
    assert not await owners.poison("flow 7")


async def test_only_one_thing_is_in_hand(owners: Owners) -> None:
    held = 0

    async def hold(owner: OneByOne, name: str) -> None:
        nonlocal held
        async with owner.holding(name):
            held += 1
            assert held == 1
            await asyncio.sleep(0)
            held -= 1

    async with owners.next() as owner:
        await asyncio.gather(*(hold(owner, f"flow {number}") for number in range(20)))


async def test_from_the_second_unclean_end_on_what_state_holds_is_taken_so_too(owners: Owners) -> None:
    async with owners.next() as owner:
        assert (owner.unclean, owner.again) == (True, False)
    async with owners.next() as owner:
        assert (owner.unclean, owner.again) == (True, True)
        owner.end()
    async with owners.next() as owner:
        assert (owner.unclean, owner.again) == (False, False)


async def test_a_note_is_on_disk_before_the_input_is_taken(owners: Owners) -> None:
    async with owners.next() as owner, owner.holding("flow 7"):
        stored = owners.state.get("in hand").in_hand
        assert stored == InHand(times={"flow 7": 1}, ends=1)
