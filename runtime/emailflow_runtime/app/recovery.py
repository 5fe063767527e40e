"""What a new owner finds in STATE and takes up again: facts not relayed, mails half-way, waits overdue.

Run once at take-over before anything is decided; the part about waits also after each reconnect and
daily, since a wake-up can be lost (DESIGN section 5, Timers).
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

from emailflow_api.jetstream.naming import TimerAddress
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import DeliveredTimer, EnrolmentKey, RecordHead, StateStore
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.journey import Journey

SECOND = 1_000_000_000
GRACE = 5 * SECOND
"""A timer may be this late before its wake-up counts as lost; clocks differ by less."""
AT_ONCE = 500
"""Records that are read together: each question takes as long as dozens of records in it."""

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """What a scan found."""

    unrelayed: list[RecordHead]
    requested: list[RecordHead]
    attempted: list[RecordHead]
    overdue: list[RecordHead]
    retried: list[RecordHead]
    """Mails whose next attempt was due just now, or is in a moment. Their timer changes nothing in STATE, so
    it may be acknowledged although the owner before did not get to the attempt."""


class Recovery:
    """Scans one shard's STATE."""

    def __init__(self, store: StateStore, desk: Desk, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock

    async def scan(self, relayed: int, census: Census | None = None) -> Found:
        """Everything that needs attention; `relayed` is the committed relay position. A census counts all
        that there is."""
        found = Found([], [], [], [], [])
        due = self._clock.now() - GRACE
        async for head in self._store.scan():
            if census is not None:
                census.found(head)
            if head.sequence > relayed:
                found.unrelayed.append(head)
            if head.mail == "Requested":
                found.requested.append(head)
            if head.mail == "Attempted":
                found.attempted.append(head)
            if 0 < head.wake_at < due:
                found.overdue.append(head)
            elif head.mail == "Deferred" and head.wake_at < due + 2 * GRACE:
                found.retried.append(head)
        return found

    async def relay_again(self, heads: Sequence[RecordHead]) -> None:
        """Publish the facts of these records, in the order of their commits; some may be out already."""
        for some in _chunks(sorted(heads, key=lambda each: each.sequence)):
            keys = list(dict.fromkeys((head.flow, head.contact) for head in some))
            await self._desk.recall(keys)
            records = await self._store.records(keys)
            for head in some:
                for each in records.get((head.flow, head.contact), ()):
                    if each.journey.instance == head.instance and each.facts:
                        await self._desk.adopt(each, head.sequence)

    async def unsent(self, heads: Sequence[RecordHead]) -> AsyncIterator[tuple[EnrolmentKey, SendMail]]:
        """The mails of these records, to be sent, in the order in which they were asked for."""
        async for head, journey in self._journeys(sorted(heads, key=lambda each: each.sequence)):
            if journey.mail is not None:
                yield (head.flow, head.contact), SendMail(head.instance, journey.mail.id)

    async def due(self, busy: Callable[[str], bool]) -> AsyncIterator[tuple[EnrolmentKey, SendMail]]:
        """The mails that nobody takes care of (`busy`: by id, who is) though it is their time, in order."""
        now = self._clock.now()
        heads = [head async for head in self._store.scan() if head.mail in {"Requested", "Deferred"}]
        waiting = [head for head in heads if head.mail == "Requested" or 0 < head.wake_at <= now]
        async for head, journey in self._journeys(sorted(waiting, key=lambda each: each.sequence)):
            mail = journey.mail
            if mail is None or busy(mail.id):
                continue
            # Memory knows more than the head: what has been decided since may not be stored yet.
            if mail.status == "Requested" or (mail.status == "Deferred" and journey.wake_at <= now):
                yield (head.flow, head.contact), SendMail(head.instance, mail.id)

    async def overdue(self, heads: Sequence[RecordHead]) -> AsyncIterator[list[DeliveredTimer]]:
        """The timers that these records wait for in vain, as if they had fired now; as many at a time as are
        read together."""
        for some in _chunks(heads):
            fired, now = [], self._clock.now()
            async for head, journey in self._journeys(some):
                if journey.timer and journey.wake_at <= now:
                    address = TimerAddress(head.flow, head.contact, head.instance, journey.id, journey.timer)
                    fired.append(DeliveredTimer(sequence=0, at=now, token="", address=address))
            if fired:
                log.info("overdue waits found", extra={"count": len(fired)})
                yield fired

    async def _journeys(self, heads: Sequence[RecordHead]) -> AsyncIterator[tuple[RecordHead, Journey]]:
        """What these records hold now, as far as they are there."""
        for some in _chunks(heads):
            await self._desk.recall([(head.flow, head.contact) for head in some])
            for head in some:
                entry = await self._desk.entry((head.flow, head.contact))
                if (journey := entry.enrolment.journeys.get(head.instance)) is not None:
                    yield head, journey


def _chunks(heads: Sequence[RecordHead]) -> Iterator[Sequence[RecordHead]]:
    return (heads[start : start + AT_ONCE] for start in range(0, len(heads), AT_ONCE))
