"""STATE of one shard: written under the epoch, read by subject (ADR 0001, 0002).

A commit without an answer is repeated under a new epoch, so that the first can't come after the second; it
is never given up, because what was decided in memory would be wrong without it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.batch import publish_all
from emailflow_runtime.adapters.jetstream.connection import (
    EPOCH_LOST,
    TRY_AGAIN,
    Connection,
    JetStreamError,
    TooMany,
)
from emailflow_runtime.adapters.jetstream.epoch import Epoch
from emailflow_runtime.adapters.jetstream.scan import scanning
from emailflow_runtime.adapters.jetstream.state_messages import (
    decode_contact,
    decode_hashes,
    decode_in_hand,
    message,
    record_head,
)
from emailflow_runtime.adapters.jetstream.timestamps import nanoseconds
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.app.stores import (
    Change,
    EnrolmentKey,
    InHand,
    Place,
    RecordHead,
    TooMuch,
    belong_together,
    left_in_hand,
)
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Enrolment, Record, decode_record
from emailflow_runtime.core.remembering import remember, take_in
from emailflow_runtime.errors import EpochLost, RecordUnreadable, Unavailable

AT_ONCE = 500
"""Subjects in one multi-get; the server gives at most 1,024 messages."""
PORTION = 16 << 20
"""Bytes of stored messages that are read for one question about several things."""
RETRY_AFTER = 0.2
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError)
"""What decoding raises for what no runtime of this version wrote."""
Read = TypeVar("Read")

log = logging.getLogger(__name__)


class JetStreamStateStore:
    """The port StateStore on JetStream."""

    def __init__(self, connection: Connection, names: Names, shard: int) -> None:
        self._connection = connection
        self._stream = names.state(shard)
        self._subjects = names.state_subjects(shard)
        self._epoch = Epoch(connection, self._stream, self._subjects.epoch)
        self._replicated = False
        self._written = 0
        """The last sequence that is known to be stored."""

    # --- writing ------------------------------------------------------------------------------------

    async def now(self) -> int:
        """See StateStore. The stream's leader says it with every answer about the stream."""
        await self._epoch.look()
        info = await self._connection.api(f"STREAM.INFO.{self._stream}")
        return nanoseconds(info["ts"])

    async def claim(self) -> int:
        """See StateStore."""
        info = await self._connection.api(f"STREAM.INFO.{self._stream}")
        self._replicated = int(info["config"].get("num_replicas", 1)) > 1
        await self._epoch.claim()
        self._written = self._epoch.sequence
        return self._epoch.since

    async def commit(self, changes: Sequence[Change]) -> int:
        """See StateStore. Saying the same again is right, as long as nothing else was said meanwhile."""
        messages = [message(self._subjects, change) for change in changes]
        whole = self._replicated or belong_together(changes)
        while True:
            if self._epoch.in_doubt:
                await self._epoch.renew()
                self._written = self._epoch.sequence
            try:
                guard = self._epoch.guard
                self._written = await publish_all(self._connection, messages, guard, one_write=whole)
                return self._written
            except JetStreamError as refused:
                if refused.code == EPOCH_LOST:
                    raise EpochLost("another process owns this shard now") from refused
                if refused.for_good:
                    raise
                if refused.code != TRY_AGAIN:
                    log.error("STATE refused a commit: %s", refused)
            except Unavailable as away:
                log.warning("no answer to a commit: %s", away)
                self._epoch.doubt()
            await asyncio.sleep(RETRY_AFTER)

    # --- reading ------------------------------------------------------------------------------------

    async def _last(self, subjects: Iterable[str]) -> AsyncIterator[Arrived]:
        """The last message of each subject, wildcards allowed.

        A replica that lags behind would answer with what was. So the epoch is asked for too: then there is
        always an answer, which says how far the replica has got.
        """
        wanted = list(subjects)
        epoch, known = ([self._subjects.epoch], self._written) if self._replicated else ([], 0)
        for start in range(0, len(wanted), AT_ONCE):
            chunk = wanted[start : start + AT_ONCE]
            try:
                body = {"multi_last": [*chunk, *epoch]}
                async for each in self._connection.direct_get_many(self._stream, body, known=known):
                    if each.headers["Nats-Subject"] not in epoch:
                        yield each
            except TooMany:
                # It comes before anything else does.
                middle = len(chunk) // 2
                halves = [chunk[:middle], chunk[middle:]] if middle else [await self._matching(chunk[0])]
                for half in halves:
                    async for each in self._last(half):
                        yield each

    async def _matching(self, pattern: str) -> list[str]:
        """The subjects that match and hold something, by the stream's leader."""
        found: list[str] = []
        while True:
            body = {"subjects_filter": pattern, "offset": len(found)}
            info = await self._connection.api(f"STREAM.INFO.{self._stream}", body)
            page = info["state"].get("subjects") or {}
            found += page
            if not page or len(found) >= info.get("total", 0):
                return found

    async def _insist(self, read: Callable[[], Awaitable[Read]]) -> Read:
        """Read, and keep trying while the store is away."""
        while True:
            try:
                return await read()
            except (Unavailable, JetStreamError) as away:
                log.warning("STATE can't be read: %s", away)
                await asyncio.sleep(RETRY_AFTER)

    async def _portion(self, subjects: Sequence[str], *, whole: bool) -> AsyncIterator[Arrived]:
        """Like `_last`, within the bound, unless it has to be the whole. Raises TooMuch."""
        size = 0
        async for each in self._last(subjects):
            size += len(each.data)
            if size > PORTION and not whole:
                raise TooMuch(f"expected at most {PORTION} bytes")
            yield each

    async def enrolments(
        self, keys: Iterable[EnrolmentKey]
    ) -> dict[EnrolmentKey, Enrolment | RecordUnreadable]:
        """See StateStore."""
        wanted = list(keys)
        return await self._insist(lambda: self._enrolments(wanted))

    async def _enrolments(
        self, keys: Sequence[EnrolmentKey]
    ) -> dict[EnrolmentKey, Enrolment | RecordUnreadable]:
        found: dict[EnrolmentKey, Enrolment | RecordUnreadable] = {}
        subjects: list[str] = []
        for flow, contact in keys:
            subjects += [self._subjects.journey(flow, contact, "*"), self._subjects.seen(flow, contact)]
        async for each in self._portion(subjects, whole=len(keys) == 1):
            kind, flow, contact, *_ = self._tokens(each)
            enrolment = found.setdefault((flow, contact), Enrolment(flow=flow, contact=contact))
            if isinstance(enrolment, RecordUnreadable):
                continue
            try:
                if kind == "seen":
                    remember(enrolment, decode_hashes(each.data))
                else:
                    take_in(enrolment, decode_record(each.data).journey)
            except UNREADABLE as broken:
                found[flow, contact] = self._unreadable(each, broken)
        return found

    async def records(self, places: Iterable[Place]) -> dict[Place, Record | RecordUnreadable]:
        """See StateStore."""
        wanted = [self._subjects.journey(*place) for place in places]
        return await self._insist(lambda: self._records(wanted))

    async def _records(self, subjects: Sequence[str]) -> dict[Place, Record | RecordUnreadable]:
        found: dict[Place, Record | RecordUnreadable] = {}
        async for each in self._portion(subjects, whole=len(subjects) == 1):
            _, flow, contact, instance = self._tokens(each)
            try:
                found[flow, contact, instance] = decode_record(each.data)
            except UNREADABLE as broken:
                found[flow, contact, instance] = self._unreadable(each, broken)
        return found

    def _tokens(self, stored: Arrived) -> list[str]:
        return stored.headers["Nats-Subject"].removeprefix(f"{self._subjects.prefix}.").split(".")

    def _unreadable(self, stored: Arrived, broken: Exception) -> RecordUnreadable:
        subject, sequence = stored.headers["Nats-Subject"], stored.headers["Nats-Sequence"]
        log.error("what STATE holds at %s can't be read: %s", sequence, type(broken).__name__)
        return RecordUnreadable(f"{subject} at {sequence} of {self._stream}: {type(broken).__name__}")

    async def contacts(self, keys: Iterable[str]) -> dict[str, Contact | RecordUnreadable]:
        """See StateStore."""
        subjects = [self._subjects.contact(key) for key in keys]
        return await self._insist(lambda: self._contacts(subjects))

    async def _contacts(self, subjects: Sequence[str]) -> dict[str, Contact | RecordUnreadable]:
        found: dict[str, Contact | RecordUnreadable] = {}
        async for each in self._portion(subjects, whole=len(subjects) == 1):
            key = self._tokens(each)[1]
            try:
                found[key] = decode_contact(each.data)
            except UNREADABLE as broken:
                found[key] = self._unreadable(each, broken)
        return found

    async def relay_position(self) -> int:
        """See StateStore."""
        return await self._insist(self._relay_position)

    async def _relay_position(self) -> int:
        return max([int(each.data) async for each in self._last([self._subjects.relay])], default=0)

    async def in_hand(self) -> InHand:
        """See StateStore."""
        return await self._insist(self._in_hand)

    async def _in_hand(self) -> InHand:
        stored, at = None, 0
        async for each in self._last([self._subjects.in_hand]):
            stored, at = decode_in_hand(each.data), int(each.headers["Nats-Sequence"])
        return left_in_hand(stored, at, self._epoch.before)

    async def scan(self) -> AsyncIterator[RecordHead]:
        """See StateStore. The epoch is read first, since a replica that has it has all that went before."""
        async with scanning(self._connection, self._stream) as scan:
            epochs = [sequence async for _, sequence in scan.headers(self._subjects.epoch)]
            if max(epochs, default=0) < self._epoch.sequence:
                raise Unavailable("a replica that lags behind was scanned")
            async for stored, sequence in scan.headers(self._subjects.journeys_all):
                yield record_head(self._subjects, stored.subject, stored.headers, sequence)
