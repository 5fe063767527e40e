"""What a feed is given and can't read: put into DEADLETTER, then acknowledged, while the feed goes on.

Somebody with the rights to may have written anything, and a later version what this one doesn't know. Left
unacknowledged it would come again for ever, and whatever waits for the reader to have passed it would too.
It decides nothing: what is no event concerns no journey.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.batch import publish_all
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.adapters.jetstream.dead_letter_stream import message_line, one_line, raw_letter
from emailflow_runtime.adapters.jetstream.wire import Arrived, frame
from emailflow_runtime.core.cloudevents.errors import CodecError
from emailflow_runtime.errors import Unavailable

RETRY_AFTER = 0.5

log = logging.getLogger(__name__)

Noted: TypeAlias = Callable[[str, str], None]
"""Hears the reason and the origin of a dead letter."""


def unheard(_reason: str, _origin: str) -> None:
    """Nobody wants to know."""


class Unreadable:
    """One for each feed. `reader` is a flow's id, or the name of a system consumer."""

    def __init__(self, connection: Connection, names: Names, reader: str, noted: Noted) -> None:
        self._connection = connection
        self._names = names
        self._reader = reader
        self._noted = noted
        self._tokens: dict[int, str] = {}
        """How to acknowledge what is being put aside, by its sequence, as it was delivered last."""
        self._tasks: set[asyncio.Task[None]] = set()

    def put_aside(self, message: Arrived, sequence: int, broken: CodecError) -> None:
        """Begin to; one that comes again meanwhile is put aside once."""
        begun = sequence in self._tokens
        self._tokens[sequence] = message.reply
        if begun:
            return
        # What exactly is wrong stands in the letter: it names an attribute, by a name that anybody chose.
        log.error(
            "%s is given what it can't read, at %d: %s",
            self._reader,
            sequence,
            broken.reason,
            extra={"reason": broken.reason},
        )
        task = asyncio.get_running_loop().create_task(self._settle(message, sequence, broken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, message: Arrived, sequence: int, broken: CodecError) -> None:
        subject = self._names.dead_letter_subject(broken.reason, self._reader)
        said = {
            "EmailFlow-Reason": broken.reason,
            "EmailFlow-Origin": self._reader,
            "EmailFlow-Message": message_line(str(broken)),
            "EmailFlow-Sequence": str(sequence),
            "EmailFlow-Subject": message.subject,
        }
        most = self._connection.client.max_payload
        letter = raw_letter(subject, _writable(message.headers), message.data, said, most=most)
        kept = False
        while True:
            try:
                if not kept:
                    await publish_all(self._connection, [letter])
                    kept = True
                    self._noted(broken.reason, self._reader)
                await self._connection.wire.send(frame(self._tokens[sequence], b"+ACK", {}))
                del self._tokens[sequence]
                return
            except (Unavailable, JetStreamError) as away:
                log.warning("DEADLETTER takes nothing: %s", away)
                await asyncio.sleep(RETRY_AFTER)

    async def close(self) -> None:
        """Leave what is not put aside yet to the next owner, who is given it too."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tokens.clear()


def _writable(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as they can be written again, whatever bytes they held."""
    return {one_line(name).replace(" ", "-"): one_line(value) for name, value in headers.items() if name}
