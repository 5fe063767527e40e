"""DEADLETTER, read: letters in their order, one by its sequence, and taking one out.

Nothing is decoded that isn't an event: what came in at a door and was none keeps its bytes.
"""

from collections.abc import AsyncIterator

from msgspec.structs import replace

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.adapters.jetstream.dead_letter_stream import TRUNCATED
from emailflow_runtime.adapters.jetstream.timestamps import nanoseconds
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.app.redrive import Letter
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.core.cloudevents.errors import CodecError
from emailflow_runtime.core.cloudevents.event import CloudEvent

PAGE = 256
NOT_FOUND = {10037, 10043}
"""No such message; it was deleted, or it has expired."""

_HEADERS = {name: f"EmailFlow-{name.title()}" for name in ("message", "contact", "sequence", "step")}


class DeadLetterReader:
    """The port Letters on JetStream."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._stream = names.dead_letters

    async def letters(self, *, reason: str = "", origin: str = "") -> AsyncIterator[Letter]:
        """See Letters. Raises Unavailable."""
        subject = self._names.dead_letter_subject(reason or "*", origin or "*")
        after = 0
        while True:
            body = {"seq": after + 1, "batch": PAGE, "next_by_subj": subject}
            count = 0
            async for stored in self._connection.direct_get_many(self._stream, body):
                letter = await self._whole(stored)
                after, count = letter.sequence, count + 1
                yield letter
            if count < PAGE:
                return

    async def letter(self, sequence: int) -> Letter | None:
        """See Letters. Raises Unavailable."""
        found = await self._connection.direct_get(self._stream, {"seq": sequence})
        return await self._whole(found) if found is not None else None

    async def _whole(self, stored: Arrived) -> Letter:
        """A letter, with the event from EVENTS where there was no room for it, as long as it is there."""
        letter = read_letter(stored)
        if not letter.log_sequence or TRUNCATED not in stored.headers:
            return letter
        found = await self._connection.direct_get(self._names.events, {"seq": letter.log_sequence})
        if found is None:
            return replace(letter, event=None)
        return replace(letter, event=nats.read_stored(found.headers, found.data), raw=found.data)

    async def discard(self, sequence: int) -> None:
        """See Letters. Raises Unavailable, JetStreamError."""
        try:
            await self._connection.api(f"STREAM.MSG.DELETE.{self._stream}", {"seq": sequence})
        except JetStreamError as refused:
            if refused.code not in NOT_FOUND:
                raise


def read_letter(stored: Arrived) -> Letter:
    """The letter in a stored message."""
    headers = stored.headers or {}
    reason, origin = headers["Nats-Subject"].split(".")[-2:]
    said = {name: headers.get(header, "") for name, header in _HEADERS.items()}
    event: CloudEvent | None
    try:
        event = nats.decode(headers, stored.data)
    except CodecError:
        event = None
    return Letter(
        sequence=int(headers["Nats-Sequence"]),
        at=nanoseconds(headers["Nats-Time-Stamp"]),
        reason=reason,
        origin=origin,
        message=said["message"],
        contact=said["contact"],
        log_sequence=int(said["sequence"] or 0),
        step=said["step"],
        event=event,
        raw=stored.data,
    )
