"""The port StateStore in memory: what one process sees of a shard's state."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from emailflow_runtime.adapters.in_memory.shard_state import ShardState
from emailflow_runtime.app.stores import (
    Change,
    EnrolmentKey,
    InHand,
    Place,
    PutInHand,
    PutRecord,
    PutRelayPosition,
    RecordHead,
    left_in_hand,
)
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Enrolment, Record, encode_record
from emailflow_runtime.core.remembering import remember, take_in
from emailflow_runtime.errors import MessageTooLarge, RecordUnreadable


class InMemoryStateStore:
    """The port StateStore. Each owner makes its own over the same `state`."""

    def __init__(self, state: ShardState) -> None:
        self.state = state
        self.epoch = 0
        self.largest = 8 << 20
        """Bytes that one message may have."""

    def _check(self, size: int) -> None:
        if size > self.largest:
            raise MessageTooLarge(f"expected at most {self.largest} bytes in one message, got {size}")

    async def now(self) -> int:
        """See StateStore."""
        await asyncio.sleep(0)
        return self.state.now(self.epoch)

    async def claim(self) -> int:
        """See StateStore."""
        await asyncio.sleep(0)
        self.epoch = self.state.claim()
        return self.epoch

    async def commit(self, changes: Sequence[Change]) -> int:
        """See StateStore."""
        await asyncio.sleep(0)
        for change in changes:
            if isinstance(change, PutRecord) and change.weight > self.largest // 2:
                self._check(len(encode_record(change.record)))
        return [self.state.store(change, self.epoch) for change in changes][-1]

    async def enrolments(
        self, keys: Iterable[EnrolmentKey]
    ) -> dict[EnrolmentKey, Enrolment | RecordUnreadable]:
        """See StateStore."""
        wanted = list(keys)
        await asyncio.sleep(0)
        found: dict[EnrolmentKey, Enrolment | RecordUnreadable] = {}
        for key in wanted:
            seen = self.state.get("seen", *key)
            records = self.state.records_of(*key)
            if seen is None and not records:
                continue
            enrolment = found[key] = Enrolment(flow=key[0], contact=key[1])
            for put in records:
                take_in(enrolment, put.record.journey)
            remember(enrolment, seen.hashes if seen is not None else ())
        return found

    async def records(self, places: Iterable[Place]) -> dict[Place, Record | RecordUnreadable]:
        """See StateStore."""
        wanted = list(places)
        await asyncio.sleep(0)
        stored = {place: self.state.get("journey", *place) for place in wanted}
        return {place: put.record for place, put in stored.items() if put is not None}

    async def contacts(self, keys: Iterable[str]) -> dict[str, Contact | RecordUnreadable]:
        """See StateStore."""
        wanted = list(keys)
        await asyncio.sleep(0)
        stored = [self.state.get("contact", key) for key in wanted]
        return {put.contact.key: put.contact for put in stored if put is not None}

    async def relay_position(self) -> int:
        """See StateStore."""
        await asyncio.sleep(0)
        put: PutRelayPosition | None = self.state.get("relay")
        return put.sequence if put is not None else 0

    async def in_hand(self) -> InHand:
        """See StateStore."""
        await asyncio.sleep(0)
        put: PutInHand | None = self.state.get("in hand")
        at = self.state.sequence("in hand")
        return left_in_hand(put.in_hand if put is not None else None, at, self.state.since_before)

    async def scan(self) -> AsyncIterator[RecordHead]:
        """See StateStore."""
        for sequence, put in list(self.state.records()):
            await asyncio.sleep(0)
            journey = put.record.journey
            mail = journey.mail.status if journey.mail is not None and not journey.mail.settled else ""
            stage = ("", "") if journey.finished else (journey.revision, journey.step)
            place = (journey.flow, journey.contact, journey.instance)
            held = journey.mail.held if journey.mail is not None and mail else ""
            yield RecordHead(*place, sequence, journey.wake_at, mail, *stage, held)
