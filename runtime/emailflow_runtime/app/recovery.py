"""What a new owner finds in STATE and takes up again: facts not relayed, mails half-way, waits.

Run once at take-over before anything is decided.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.portions import portions
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import EnrolmentKey, RecordHead, StateStore
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.journey import Journey, Record
from emailflow_runtime.errors import RecordUnreadable

AT_ONCE = 500
"""Records that are read together: each question takes as long as dozens of records in it."""

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """What a scan found."""

    unrelayed: list[RecordHead]
    requested: list[RecordHead]
    """Those with a mail that is asked for, or held for something that may be there by now."""
    attempted: list[RecordHead]


class Recovery:
    """Scans one shard's STATE."""

    def __init__(self, store: StateStore, desk: Desk, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock

    async def scan(self, relayed: int, tell: Callable[[RecordHead], None]) -> Found:
        """Everything that needs attention; `relayed` is the committed relay position. `tell` is called with
        each record that there is."""
        found = Found([], [], [])
        async for head in self._store.scan():
            tell(head)
            if head.sequence > relayed:
                found.unrelayed.append(head)
            if head.mail == "Requested" or head.held:
                found.requested.append(head)
            if head.mail == "Attempted":
                found.attempted.append(head)
        return found

    async def relay_again(self, heads: Sequence[RecordHead]) -> None:
        """Publish the facts of these records, in the order of their commits; some may be out already."""
        for some in _chunks(sorted(heads, key=lambda each: each.sequence)):
            await self._desk.recall(dict.fromkeys((head.flow, head.contact) for head in some))
            sequences = {(head.flow, head.contact, head.instance): head.sequence for head in some}
            async for places, records in portions(self._store.records, sequences):
                for place in places:
                    await self._adopt(records.get(place), sequences[place])
                await self._desk.room()

    async def _adopt(self, record: Record | RecordUnreadable | None, sequence: int) -> None:
        """Take up the facts of one record. One that can't be read holds no other: it has been logged."""
        if not isinstance(record, Record) or not record.facts:
            return
        try:
            await self._desk.adopt(record, sequence)
        except RecordUnreadable as broken:
            log.error("facts are not told: %s", broken, extra={"flow": record.journey.flow})

    async def unsent(self, heads: Sequence[RecordHead]) -> AsyncIterator[tuple[EnrolmentKey, SendMail]]:
        """The mails of these records, to be sent, in the order in which they were asked for."""
        async for head, journey in self._journeys(sorted(heads, key=lambda each: each.sequence)):
            if journey.mail is not None:
                yield (head.flow, head.contact), SendMail(head.instance, journey.mail.id)

    async def due(self, busy: Callable[[str], bool]) -> AsyncIterator[tuple[EnrolmentKey, SendMail, bool]]:
        """The mails that nobody takes care of (`busy`: by id, who is), in order: those whose time it is, and
        those that are held for something that is not there (then True), as long as they are not given up."""
        now = self._clock.now()
        heads = [head async for head in self._store.scan() if head.mail in {"Requested", "Deferred"}]
        waiting = [head for head in heads if head.mail == "Requested" or head.held or 0 < head.wake_at <= now]
        async for head, journey in self._journeys(sorted(waiting, key=lambda each: each.sequence)):
            mail = journey.mail
            if mail is None or busy(mail.id):
                continue
            # Memory knows more than the head: what has been decided since may not be stored yet.
            due = mail.status == "Requested" or (mail.status == "Deferred" and journey.wake_at <= now)
            waits = bool(mail.held) and not due
            if due or waits:
                yield (head.flow, head.contact), SendMail(head.instance, mail.id), waits

    async def _journeys(self, heads: Sequence[RecordHead]) -> AsyncIterator[tuple[RecordHead, Journey]]:
        """What these records hold now, as far as they are there."""
        for some in _chunks(heads):
            await self._desk.recall([(head.flow, head.contact) for head in some])
            for head in some:
                try:
                    entry = await self._desk.entry((head.flow, head.contact))
                except RecordUnreadable as broken:
                    log.error("a journey is left alone: %s", broken, extra={"flow": head.flow})
                    continue
                if (journey := entry.enrolment.journeys.get(head.instance)) is not None:
                    yield head, journey


def _chunks(heads: Sequence[RecordHead]) -> Iterator[Sequence[RecordHead]]:
    return (heads[start : start + AT_ONCE] for start in range(0, len(heads), AT_ONCE))
