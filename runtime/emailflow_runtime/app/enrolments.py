"""A bounded cache of enrolments: what the one writer knows of STATE, and what it has not written yet.

Nothing else writes enrolments, so what is in here is what is true. An entry stays while a commit or a
publication of its facts is under way.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import msgspec

from emailflow_runtime.app.portions import portions
from emailflow_runtime.app.stores import EnrolmentKey, StateStore
from emailflow_runtime.core.cloudevents.event import SMALL
from emailflow_runtime.core.facts import Fact
from emailflow_runtime.core.journey import Enrolment
from emailflow_runtime.core.remembering import take_in
from emailflow_runtime.core.weights import fact_weight, journey_weight
from emailflow_runtime.errors import RecordUnreadable

BYTES = 64 << 20
"""What the entries of a shard may cost together, but for those that have to stay."""
EXPANDED = 5
"""A usual small event takes so much more in memory than on the wire, parsed."""
PASSED_OVER = 8
"""Entries that have to stay which one look for others meets."""

UNREADABLE = 1000
"""Enrolments that can't be read, of which it is known."""


class Entry(msgspec.Struct):
    """One enrolment in memory. `unpublished` holds, by instance, the facts that are not in EVENTS yet,
    `untold` is what they weigh, `weight` what the open journeys do (bytes)."""

    enrolment: Enrolment
    unpublished: dict[str, list[Fact]] = {}
    in_flight: int = 0
    untold: int = 0
    weight: int = 0
    counted: int = 0
    """Its cost as it is in the sum."""
    loads: dict[str, int] = {}
    """What the facts of each place weigh that are not in EVENTS."""

    @property
    def idle(self) -> bool:
        """Whether STATE and EVENTS know all of it."""
        return not self.in_flight and not self.unpublished

    @contextmanager
    def staying(self) -> Iterator[None]:
        """While somebody waits who will decide on it: it must be the one that everybody else knows until
        then, though nothing of it may be under way."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @property
    def cost(self) -> int:
        """Bytes of memory, about."""
        enrolment = self.enrolment
        open_ = len(enrolment.journeys) - len(enrolment.ended)
        small = min(self.weight, SMALL * open_) * EXPANDED
        return (
            2_000
            + self.weight
            + small
            + self.untold
            + 1_000 * len(enrolment.ended)
            + 100 * len(enrolment.seen)
        )

    def tell(self, instance: str, facts: Iterable[Fact]) -> None:
        """Note facts that EVENTS has to be told of."""
        unpublished = self.unpublished.setdefault(instance, [])
        load = 0
        for fact in facts:
            unpublished.append(fact)
            load += fact_weight(fact)
        self.loads[instance] = self.loads.get(instance, 0) + load
        self.untold += load

    def told(self, instance: str, count: int) -> None:
        """The oldest facts of this place are in EVENTS."""
        unpublished = self.unpublished[instance]
        if len(unpublished) == count:
            del self.unpublished[instance]
            self.untold -= self.loads.pop(instance)
            return
        load = sum([fact_weight(fact) for fact in unpublished[:count]])
        del unpublished[:count]
        self.loads[instance] -= load
        self.untold -= load


class Enrolments:
    """Entries by (flow, contact)."""

    def __init__(self, store: StateStore, most: int = BYTES) -> None:
        self._store = store
        self._most = most
        self._bytes = 0
        self._entries: OrderedDict[EnrolmentKey, Entry] = OrderedDict()
        self._loading: dict[EnrolmentKey, asyncio.Future[None]] = {}
        self._unreadable: dict[EnrolmentKey, RecordUnreadable] = {}
        """Of those that were asked for last."""

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: EnrolmentKey) -> Entry | None:
        """The entry if it is in memory."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    async def load(self, keys: Iterable[EnrolmentKey]) -> None:
        """Bring these into memory; those that STATE doesn't have become empty ones.

        What can't be read, or is more than there is room for, isn't there afterwards: `fetch` it.
        """
        missing = [key for key in dict.fromkeys(keys) if key not in self._entries]
        awaited = [self._loading[key] for key in missing if key in self._loading]
        mine = [key for key in missing if key not in self._loading]
        if mine:
            await self._load(mine)
        for future in awaited:
            # Several wait for it: one that is cancelled must not take it from the others.
            await asyncio.shield(future)

    async def fetch(self, key: EnrolmentKey) -> Entry:
        """The entry, from memory or from STATE. Raises RecordUnreadable."""
        while (entry := self.get(key)) is None:
            await self.load((key,))
            if (unreadable := self._unreadable.get(key)) is not None:
                raise RecordUnreadable(str(unreadable))
        return entry

    async def bring_back(self, entry: Entry, instances: Sequence[str]) -> None:
        """Take in what STATE holds at these instances of an enrolment. Raises RecordUnreadable."""
        enrolment = entry.enrolment
        key = (enrolment.flow, enrolment.contact)
        missing = [(*key, each) for each in instances if each not in enrolment.journeys]
        if not missing:
            return
        with entry.staying():
            for place, record in (await self._store.records(missing)).items():
                if isinstance(record, RecordUnreadable):
                    raise RecordUnreadable(str(record))
                if place[2] not in enrolment.journeys:
                    take_in(enrolment, record.journey)

    async def _load(self, keys: list[EnrolmentKey]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loading.update(dict.fromkeys(keys, done))
        try:
            async for some, found in portions(self._store.enrolments, keys):
                for key in some:
                    self._take_in(key, found.get(key))
        finally:
            for key in keys:
                del self._loading[key]
            done.set_result(None)

    def _take_in(self, key: EnrolmentKey, found: Enrolment | RecordUnreadable | None) -> None:
        self._unreadable.pop(key, None)
        if isinstance(found, RecordUnreadable):
            self._unreadable[key] = found
            while len(self._unreadable) > UNREADABLE:
                del self._unreadable[next(iter(self._unreadable))]
        else:
            enrolment = found or Enrolment(flow=key[0], contact=key[1])
            weight = sum([journey_weight(each) for each in enrolment.journeys.values()])
            self.weigh(self._entries.setdefault(key, Entry(enrolment, weight=weight)))

    def weigh(self, entry: Entry) -> None:
        """Note what an entry costs now. When all cost too much, those go that were used longest ago."""
        cost = entry.cost
        self._bytes += cost - entry.counted
        entry.counted = cost
        if self._bytes > self._most:
            self._evict(entry)

    def _evict(self, used: Entry) -> None:
        """Let go of those that were used longest ago. Those that have to stay count as used, and few of them
        are met at each look, so that it costs next to nothing where all have to."""
        passed = 0
        while self._bytes > self._most and self._entries and passed < PASSED_OVER:
            key, entry = next(iter(self._entries.items()))
            if entry.idle and entry is not used:
                self._bytes -= self._entries.pop(key).counted
            else:
                self._entries.move_to_end(key)
                passed += 1
