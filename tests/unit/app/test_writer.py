"""The one writer: what shares a commit, and in which order."""

import asyncio
from collections.abc import Sequence

from emailflow_runtime.app.stores import Change, PutContact, PutRelayPosition
from emailflow_runtime.app.writer import MAX_BYTES, Writer, coalesce
from emailflow_runtime.core.contact import Contact


class Store:
    """Commits when told to, and remembers."""

    def __init__(self) -> None:
        self.commits: list[list[Change]] = []
        self.release = asyncio.Event()

    async def commit(self, changes: Sequence[Change]) -> int:
        self.commits.append(list(changes))
        await self.release.wait()
        return len(self.commits)


def contact(name: str, key: str = "k") -> PutContact:
    return PutContact(Contact(key, name=name))


def test_the_last_change_of_a_thing_is_the_one_that_is_stored() -> None:
    assert coalesce([contact("old"), contact("other", "x"), contact("new")]) == [
        contact("new"),
        contact("other", "x"),
    ]


async def test_what_comes_while_a_commit_is_under_way_shares_the_next_one() -> None:
    store = Store()
    writer = Writer(store)  # type: ignore[arg-type] # the rest of the port is not the writer's
    running = asyncio.create_task(writer.run())
    first = writer.submit((contact("first"),))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [writer.submit((contact(str(number), str(number)),)) for number in range(3)]
    store.release.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 2, 2]
    running.cancel()


async def test_a_barrier_makes_a_commit_of_its_own() -> None:
    store = Store()
    store.release.set()
    writer = Writer(store)  # type: ignore[arg-type] # as above
    running = asyncio.create_task(writer.run())
    await writer.barrier()
    assert store.commits == [[PutRelayPosition(0)]]
    running.cancel()


async def test_what_waits_when_the_shard_is_lost_is_told_so_and_so_is_what_comes_later() -> None:
    store = Store()
    writer = Writer(store)  # type: ignore[arg-type] # as much of the port as it uses
    running = asyncio.create_task(writer.run())
    under_way = writer.submit((contact("a"),))
    for _ in range(5):
        await asyncio.sleep(0)
    waiting = writer.submit((contact("b"),))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert under_way.cancelled()
    assert waiting.cancelled()
    assert writer.barrier().cancelled()


async def test_what_weighs_much_together_goes_in_several_commits() -> None:
    store = Store()
    store.release.set()
    writer = Writer(store)  # type: ignore[arg-type] # as above
    waiting = [writer.submit((PutContact(Contact(str(n)), weight=1_000_000),)) for n in range(20)]
    running = asyncio.create_task(writer.run())
    await asyncio.gather(*waiting)
    running.cancel()
    assert sum(len(commit) for commit in store.commits) == 20
    assert max(len(commit) for commit in store.commits) * 1_000_000 <= MAX_BYTES
