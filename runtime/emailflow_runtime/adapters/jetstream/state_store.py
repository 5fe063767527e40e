"""STATE of one shard: written under the epoch, read by subject (ADR 0001, 0002).

A commit without an answer is repeated under a new epoch, so that the first can't come after the second; it
is never given up, because what was decided in memory would be wrong without it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence

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
    RecordHead,
    belong_together,
    left_in_hand,
)
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Enrolment, Record, decode_record
from emailflow_runtime.errors import EpochLost, Unavailable

AT_ONCE = 500
"""Subjects in one multi-get; the server gives at most 1,024 messages."""
RETRY_AFTER = 0.2

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

    async def claim(self) -> None:
        """See StateStore."""
        info = await self._connection.api(f"STREAM.INFO.{self._stream}")
        self._replicated = int(info["config"].get("num_replicas", 1)) > 1
        await self._epoch.claim()
        self._written = self._epoch.sequence

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
                asking = self._connection.direct_get_many(self._stream, body, known=known)
                found = [each async for each in asking if each.headers["Nats-Subject"] not in epoch]
            except TooMany:
                if len(chunk) == 1:
                    raise
                middle = len(chunk) // 2
                found = [each async for each in self._last(chunk[:middle])]
                found += [each async for each in self._last(chunk[middle:])]
            for each in found:
                yield each

    async def _stored(self, subjects: Iterable[str]) -> list[Arrived]:
        """Like `_last`, but keeps trying while the store is away."""
        wanted = list(subjects)
        while True:
            try:
                return [each async for each in self._last(wanted)]
            except Unavailable as away:
                log.warning("STATE can't be read: %s", away)
                await asyncio.sleep(RETRY_AFTER)

    async def enrolments(self, keys: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        """See StateStore."""
        found: dict[EnrolmentKey, Enrolment] = {}
        subjects = []
        for flow, contact in keys:
            subjects += [self._subjects.journey(flow, contact, "*"), self._subjects.seen(flow, contact)]
        for each in await self._stored(subjects):
            kind, flow, contact = self._tokens(each)
            enrolment = found.setdefault((flow, contact), Enrolment(flow=flow, contact=contact))
            if kind == "seen":
                enrolment.seen = dict.fromkeys(decode_hashes(each.data))
                continue
            journey = decode_record(each.data).journey
            enrolment.journeys[journey.instance] = journey
            enrolment.considered = max(enrolment.considered, journey.sequence)
        return found

    async def records(self, keys: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, list[Record]]:
        """See StateStore."""
        found: dict[EnrolmentKey, list[Record]] = {}
        subjects = [self._subjects.journey(flow, contact, "*") for flow, contact in keys]
        for each in await self._stored(subjects):
            record = decode_record(each.data)
            found.setdefault((record.journey.flow, record.journey.contact), []).append(record)
        return found

    def _tokens(self, stored: Arrived) -> tuple[str, str, str]:
        headers = stored.headers or {}
        kind, flow, contact = headers["Nats-Subject"].removeprefix(f"{self._subjects.prefix}.").split(".")[:3]
        return kind, flow, contact

    async def contacts(self, keys: Iterable[str]) -> dict[str, Contact]:
        """See StateStore."""
        found = await self._stored([self._subjects.contact(key) for key in keys])
        contacts = [decode_contact(each.data) for each in found]
        return {contact.key: contact for contact in contacts}

    async def relay_position(self) -> int:
        """See StateStore."""
        found = await self._connection.direct_get(self._stream, {"last_by_subj": self._subjects.relay})
        return int(found.data) if found is not None else 0

    async def in_hand(self) -> InHand:
        """See StateStore."""
        stored, at = None, 0
        for each in await self._stored([self._subjects.in_hand]):
            stored, at = decode_in_hand(each.data), int((each.headers or {})["Nats-Sequence"])
        return left_in_hand(stored, at, self._epoch.before)

    async def scan(self) -> AsyncIterator[RecordHead]:
        """See StateStore. The epoch is read first, since a replica that has it has all that went before."""
        async with scanning(self._connection, self._stream) as scan:
            epochs = [sequence async for _, sequence in scan.headers(self._subjects.epoch)]
            if max(epochs, default=0) < self._epoch.sequence:
                raise Unavailable("a replica that lags behind was scanned")
            async for stored, sequence in scan.headers(self._subjects.journeys_all):
                yield record_head(self._subjects, stored.subject, stored.headers, sequence)
