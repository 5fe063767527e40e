"""Leases have one holder each, are gone by themselves, given back at once, and made again when lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from emailflow_runtime.app.ownership import LEASE_TTL, Leases, View
from emailflow_runtime.errors import Unavailable

Replica = Callable[[str], Awaitable[Leases]]


@pytest.fixture
def replica(bucket: Any) -> Replica:
    """`await replica(name)`: the leases as a process of this name sees them."""

    async def one(name: str) -> Leases:
        made: Leases = await bucket.replica(name)
        await made.listen()
        # The server has heard of the subscription when it answers what was asked after it.
        await until(made, lambda _: True)
        return made

    return one


async def until(leases: Leases, holds: Callable[[View], bool]) -> View:
    """The first view of which this holds."""
    async with asyncio.timeout(LEASE_TTL + 20):
        while True:
            try:
                if holds(view := await leases.read()):
                    return view
            except Unavailable:
                pass  # the bucket is just being made
            await asyncio.sleep(0.05)


async def test_one_of_two_that_try_gets_it(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    taken = await asyncio.gather(a.take(0, 0), b.take(0, 0))
    assert sorted(each is None for each in taken) == [False, True]
    holder = (await a.read()).leases[0].holder
    assert holder == ("a" if taken[0] else "b")


async def test_it_is_gone_when_nobody_renews_it_and_stays_while_somebody_does(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    idle, kept = await a.take(0, 0), await a.take(1, 0)
    assert idle
    assert kept

    async def renew() -> None:
        revision: int | None = kept
        while revision:
            revision = await a.take(1, revision)
            await asyncio.sleep(1)

    renewing = asyncio.create_task(renew())
    view = await until(b, lambda view: 0 not in view.leases)
    assert view.leases[1].holder == "a"
    assert await b.take(0, 0)
    renewing.cancel()


async def test_what_is_released_is_free_at_once_and_tells_the_others(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    revision = await a.take(0, 0)
    assert revision
    await until(b, lambda view: 0 in view.leases)
    b.changed.clear()
    await a.release(0, revision)
    async with asyncio.timeout(5):
        await b.changed.wait()
    lease = (await b.read()).leases[0]
    assert lease.holder == ""
    assert await b.take(0, lease.revision)


async def test_a_release_that_comes_late_takes_nothing_from_the_next_holder(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    revision = await a.take(0, 0)
    assert revision
    await a.release(0, revision)
    assert await b.take(0, (await b.read()).leases[0].revision)
    await a.release(0, revision)
    assert (await a.read()).leases[0].holder == "b"


async def test_a_renewal_wakes_nobody(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    revision = await a.take(0, 0)
    assert revision
    async with asyncio.timeout(5):
        await b.changed.wait()
    b.changed.clear()
    assert await a.take(0, revision)
    # Its answer comes after the news of the renewal, on the same connection.
    assert (await b.read()).leases[0].holder == "a"
    assert not b.changed.is_set()


async def test_members_come_and_go(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    await a.announce()
    await b.announce()
    assert (await a.read()).members == {"a", "b"}
    await b.withdraw()
    assert (await a.read()).members == {"a"}


async def test_what_a_replica_says_itself_is_no_news_to_it(replica: Replica) -> None:
    a = await replica("a")
    await a.announce()
    revision = await a.take(0, 0)
    assert revision
    await a.release(0, revision)
    await a.withdraw()
    # Its answer comes after all news of that, on the same connection.
    await a.read()
    assert not a.changed.is_set()


async def test_nobody_takes_by_a_revision_from_before(replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    first = await a.take(0, 0)
    assert first
    second = await a.take(0, first)
    assert second
    assert second > first
    assert await b.take(0, first) is None
    assert await b.take(0, 0) is None
    assert (await b.read()).leases[0] == (a.replica, second)


async def test_a_restart_of_the_server_takes_no_lease_that_is_renewed(bucket: Any, replica: Replica) -> None:
    a, b = await replica("a"), await replica("b")
    held = await a.take(0, 0)
    await bucket.restart()
    await until(a, lambda _: True)
    assert await b.take(0, 0) is None
    assert held
    assert await a.take(0, held)


async def test_a_bucket_that_is_made_anew_has_no_leases_and_they_can_be_taken_again(
    bucket: Any, replica: Replica
) -> None:
    a = await replica("a")
    await a.announce()
    before = await a.take(0, 0)
    assert before
    await bucket.make_anew()
    view = await until(a, lambda _: True)
    assert view == View(frozenset(), {})
    # Revisions begin anew with the bucket.
    again = await a.take(0, 0)
    assert again
    assert again < before
