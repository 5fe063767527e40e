"""All that outlives a process, in one place: what nats-server would hold for one runtime.

Owners and doors get ports over it; each makes its own, as each process has its own connection.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER, FACTS
from emailflow_api.plans import Plans
from emailflow_runtime.adapters.in_memory.shard_state import ShardState
from emailflow_runtime.adapters.in_memory.stream import Consumer, Stream
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import REMEMBERED_WORDS, DeadLetter, LogEntry


class Unread(NamedTuple):
    """A dead letter of what a reader could not read: no event, so that only its bytes are kept."""

    reason: str
    origin: str
    sequence: int
    data: bytes


class Broker:
    """Streams, consumers and buckets."""

    def __init__(self, clock: Clock, shards: int = 1) -> None:
        self.clock = clock
        self.events = Stream(clock)
        self.states = [ShardState(clock) for _ in range(shards)]
        self.letters: list[DeadLetter] = []
        self.unread: list[Unread] = []
        self.aliases: dict[str, str] = {}
        self.consents: dict[str, dict[str, bool]] = {}
        """By the key of an address, then by topic."""
        self.plans: list[Plans] = []
        """Every version, the last one is in force."""
        self.changed = asyncio.Condition()
        """Told of new plans and consumers."""
        self.largest = 8 << 20
        """Bytes that one message may have."""
        self.fill = 0.0
        """The share of its bound that the log occupies."""
        self._said_at: dict[tuple[str, str], int] = {}
        self._heard: dict[tuple[str, str], list[int]] = {}
        self._ends: dict[tuple[int, str], int] = {}
        self._consumers: dict[tuple[str, int], Consumer] = {}
        for shard in range(shards):
            mine = partial(_is_of, shard)
            self._consumers[CONTACTS_CONSUMER, shard] = self.events.consumer(mine)

    def append(self, entry: LogEntry) -> None:
        """An event reaches the log."""
        subject = f"{entry.shard}.{entry.event.type}"
        self._ends[entry.shard, entry.event.type] = self.events.append(subject, entry)

    def say(self, address: str, topic: str, *, subscribed: bool, at: int, event: int = 0) -> None:
        """A word about consent; one from before what is known changes nothing, nor does a repeat of a
        subscription."""
        heard = self._heard.setdefault((address, topic), [])
        if at >= self._said_at.get((address, topic), 0) and not (subscribed and event in heard):
            if subscribed and event:
                heard[:] = [*heard, event][-REMEMBERED_WORDS:]
            self._said_at[address, topic] = at
            self.consents.setdefault(address, {})[topic] = subscribed

    def last_event(self, shard: int, wants: Callable[[str], bool] = lambda _: True) -> int:
        """The sequence of the shard's last event of a type that is wanted, 0 when there is none."""
        ends = [end for (place, kind), end in self._ends.items() if place == shard and wants(kind)]
        return max(ends, default=0)

    async def provide_flow(self, flow: str, types: Iterable[str]) -> None:
        """Make the flow's consumers, of these CloudEvents types, unless they are there. New ones start
        at the end of the log."""
        for shard in range(len(self.states)):
            subjects = frozenset(f"{shard}.{kind}" for kind in types)
            if (flow, shard) not in self._consumers:
                made = self.events.consumer(subjects.__contains__, start=self.events.last_sequence)
                self._consumers[flow, shard] = made
        async with self.changed:
            self.changed.notify_all()

    async def consumer(self, name: str, shard: int) -> Consumer:
        """The consumer of this name, once it is there."""
        if (name, shard) not in self._consumers:
            async with self.changed:
                await self.changed.wait_for(lambda: (name, shard) in self._consumers)
        return self._consumers[name, shard]


def _is_of(shard: int, subject: str) -> bool:
    place, _, kind = subject.partition(".")
    return place == str(shard) and kind not in FACTS
