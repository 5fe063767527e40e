"""LEASES in memory: who may try to own a shard, and which replicas there are, as nats-server would keep it.

Every change takes the next revision, and what nobody renews is gone. What a lease allows is not decided here.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from emailflow_runtime.app.ownership import LEASE_TTL, Lease, View
from emailflow_runtime.app.ports import Clock

SECOND = 1_000_000_000
RELEASED_FOR = 10
"""Seconds that a release stays to be read."""

Hear = Callable[[str, str], None]
"""Told a key and what it says now, at every change, renewals included."""


class _Said(NamedTuple):
    revision: int
    expires: int
    holder: str


class LeaseState:
    """What all replicas share: one message for each shard that is held and each replica that is there."""

    def __init__(self, clock: Clock) -> None:
        self.hearers: list[Hear] = []
        self._clock = clock
        self._revision = 0
        self._said: dict[str, _Said] = {}

    def view(self) -> View:
        """As it is now."""
        living = {key: said for key, said in self._said.items() if said.expires > self._clock.now()}
        members = (said.holder for key, said in living.items() if key.startswith("member."))
        leases = {
            int(key.removeprefix("shard.")): Lease(said.holder, said.revision)
            for key, said in living.items()
            if key.startswith("shard.")
        }
        return View(frozenset(members) - {""}, leases)

    def put(self, key: str, holder: str) -> int:
        """Say it (empty: that nobody holds it); its revision."""
        self._revision += 1
        seconds = LEASE_TTL if holder else RELEASED_FOR
        self._said[key] = _Said(self._revision, self._clock.now() + seconds * SECOND, holder)
        for hear in self.hearers:
            hear(key, holder)
        return self._revision

    def swap(self, shard: int, revision: int, holder: str) -> int | None:
        """The same for a shard's lease, if it has this revision (0: there is none); None if not."""
        key = f"shard.{shard}"
        said = self._said.get(key)
        now = said.revision if said is not None and said.expires > self._clock.now() else 0
        return self.put(key, holder) if now == revision else None

    def forget(self) -> None:
        """nats-server was started again: all that was said is gone, and nobody is told. Revisions begin anew,
        as a new bucket's do."""
        self._said.clear()
        self._revision = 0


class InMemoryLeases:
    """The port Leases. Each replica makes its own over the same `state`."""

    def __init__(self, state: LeaseState, replica: str) -> None:
        self.replica = replica
        self.changed = asyncio.Event()
        self.state = state
        self._heard: dict[str, str] = {}

    async def listen(self) -> None:
        """See Leases."""
        self.state.hearers.append(self.hear)

    def hear(self, key: str, holder: str) -> None:
        """Somebody has said this. A renewal says what was said before, and one's own is no news."""
        if self._heard.get(key) != holder:
            self._heard[key] = holder
            self.changed.set()

    async def read(self) -> View:
        """See Leases."""
        await asyncio.sleep(0)
        return self.state.view()

    async def announce(self) -> None:
        """See Leases."""
        await asyncio.sleep(0)
        self._say(f"member.{self.replica}", self.replica)
        self.state.put(f"member.{self.replica}", self.replica)

    async def withdraw(self) -> None:
        """See Leases."""
        await asyncio.sleep(0)
        self._say(f"member.{self.replica}", "")
        self.state.put(f"member.{self.replica}", "")

    async def take(self, shard: int, revision: int) -> int | None:
        """See Leases."""
        await asyncio.sleep(0)
        self._say(f"shard.{shard}", self.replica)
        return self.state.swap(shard, revision, self.replica)

    async def release(self, shard: int, revision: int) -> None:
        """See Leases."""
        await asyncio.sleep(0)
        self._say(f"shard.{shard}", "")
        self.state.swap(shard, revision, "")

    def _say(self, key: str, holder: str) -> None:
        self._heard[key] = holder
