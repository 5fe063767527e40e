"""DEADLETTER: what could not be handled, whole, with the reason and where it came from."""

import asyncio
import logging
from collections.abc import Mapping

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.batch import Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.app.stores import DeadLetter
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.errors import Unavailable

RETRY_AFTER = 0.5
LONGEST_MESSAGE = 1000
TRUNCATED = "EmailFlow-Truncated"
"""How many bytes of data there were, in a letter that has not all of them."""
HELD = "EmailFlow-Was-"
"""Before the names of others' headers that would mean something to NATS, or to EmailFlow."""
ROOM = 512
"""Bytes that the protocol may take beside headers and data."""

log = logging.getLogger(__name__)


class DeadLetterStream:
    """The port DeadLetters on JetStream."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names

    async def keep(self, letter: DeadLetter) -> None:
        """See DeadLetters."""
        headers, data = nats.encode(letter.event)
        headers["EmailFlow-Reason"] = letter.reason
        headers["EmailFlow-Origin"] = letter.origin
        # Messages quote names of fields, so they are ASCII but for what a template or a manifest calls them.
        headers["EmailFlow-Message"] = message_line(letter.message)
        headers["EmailFlow-Sequence"] = str(letter.sequence)
        if letter.contact:
            headers["EmailFlow-Contact"] = letter.contact
        if letter.step:
            headers["EmailFlow-Step"] = letter.step
        subject = self._names.dead_letter_subject(letter.reason, letter.origin)
        most = int(self._connection.client.max_payload)
        if len(data) > _room(headers, most):
            # What EVENTS has need not be here as well; what it has not fits, or came by no receiver.
            headers[TRUNCATED] = str(len(data))
            data = b"" if letter.sequence else data[: max(_room(headers, most), 0)]
        while True:
            try:
                await publish_all(self._connection, [Message(subject, data, headers)])
                return
            except JetStreamError as refused:
                if refused.for_good and TRUNCATED in headers and not data:
                    # Whoever wrote it waits for it; all that is behind would wait, too.
                    log.error("a dead letter is lost: %s", refused, extra={"reason": letter.reason})
                    return
                if refused.for_good:
                    headers[TRUNCATED], data = headers.get(TRUNCATED, str(len(data))), b""
                    continue
                log.warning("DEADLETTER takes nothing: %s", refused)
            except Unavailable as away:
                log.warning("DEADLETTER takes nothing: %s", away)
            await asyncio.sleep(RETRY_AFTER)


def raw_letter(
    subject: str, held: Mapping[str, str], data: bytes, said: Mapping[str, str], *, most: int
) -> Message:
    """A letter of what is no event: its headers and bytes as they came, and what is said of it (`said`:
    `EmailFlow-` headers). `most`: bytes that the server takes; what is longer is cut, and says so."""
    headers = {**{_held(name): value for name, value in held.items()}, **said}
    if len(data) > (room := _room(headers, most)):
        headers[TRUNCATED] = str(len(data))
        data = data[: max(room, 0)]
    return Message(subject, data, headers)


def _room(headers: Mapping[str, str], most: int) -> int:
    """Bytes of data that a letter with these headers may have."""
    return most - ROOM - sum(len(name.encode()) + len(value.encode()) + 4 for name, value in headers.items())


def message_line(message: str) -> str:
    """What a letter's header says of what was wrong: not too long, on one line."""
    return one_line(message[:LONGEST_MESSAGE])


def one_line(text: str) -> str:
    """On one line, in ASCII, as a header has to be."""
    return " ".join(text.encode("ascii", "backslashreplace").decode().split())


def _held(name: str) -> str:
    return f"{HELD}{name}" if name.lower().startswith(("nats-", "emailflow-")) else name
