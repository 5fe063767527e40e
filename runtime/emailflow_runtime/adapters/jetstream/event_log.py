"""EVENTS: appending events and facts, durably, and where the log ends."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import msgspec

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.batch import LARGEST_BATCH, Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.core.cloudevents.headers import encode_text
from emailflow_runtime.errors import Unavailable

CONTACT_HEADER = "EmailFlow-Contact"
"""The key of the contact that an event is about; not part of the event."""
REDRIVE_HEADER = "EmailFlow-Redrive"
"""Says for which flow alone an event stands in the log again."""


BATCH_BYTES = 8 << 20
"""nats-server needs seconds for much more at once, and an answer has to come within a few."""


class JetStreamEventLog:
    """The port EventLog on JetStream."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._subject = lru_cache(maxsize=4096)(names.event_subject)

    @property
    def largest(self) -> int:
        """See EventLog."""
        return int(self._connection.client.max_payload)

    async def append(self, entries: Sequence[LogEntry]) -> None:
        """See EventLog."""
        for messages in _batches([self._message(entry) for entry in entries]):
            try:
                await publish_all(self._connection, messages)
            except JetStreamError as refused:
                raise Unavailable(f"EVENTS takes nothing: {refused}", retry_after=5) from refused

    def _message(self, entry: LogEntry) -> Message:
        event, lines = entry.event, nats.header_lines(entry.event)
        if entry.contact:
            lines += f"{CONTACT_HEADER}: {encode_text(entry.contact)}\r\n"
        headers = {}
        if entry.redrive is not None:
            headers[REDRIVE_HEADER] = msgspec.json.encode(entry.redrive).decode()
        return Message(self._subject(entry.shard, event.type), event.data or b"", headers, lines)

    async def fill(self) -> float:
        """See EventLog."""
        try:
            info = await self._connection.api(f"STREAM.INFO.{self._names.events}")
        except JetStreamError as refused:
            raise Unavailable(f"EVENTS is not there: {refused}") from refused
        bound = info["config"].get("max_bytes", -1)
        return float(info["state"]["bytes"] / bound) if bound > 0 else 0.0

    async def last_sequence(self, shard: int) -> int:
        """See EventLog."""
        return await self._last(self._names.shard_events(shard))

    async def last_arrival(self, shard: int) -> int:
        """See EventLog."""
        return await self._last(self._names.shard_arrivals(shard))

    async def last_fact(self, shard: int, types: Collection[str]) -> int:
        """See EventLog."""
        subjects = [self._names.event_subject(shard, each) for each in types]
        return max(await asyncio.gather(*map(self._last, subjects)), default=0)

    async def _last(self, subject: str) -> int:
        found = await self._connection.direct_get(self._names.events, {"last_by_subj": subject})
        return int(found.headers["Nats-Sequence"]) if found is not None else 0


def _batches(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """As many at once as make a batch by number and by size."""
    batch: list[Message] = []
    size = 0
    for each in messages:
        if batch and (len(batch) >= LARGEST_BATCH or size + len(each.data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.data)
    if batch:
        yield batch
