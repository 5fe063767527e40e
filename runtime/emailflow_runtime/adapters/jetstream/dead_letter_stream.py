"""DEADLETTER: what could not be handled, whole, with the reason and where it came from."""

import asyncio
import logging

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.batch import Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.app.stores import DeadLetter
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.errors import Unavailable

RETRY_AFTER = 0.5
LONGEST_MESSAGE = 1000

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
        text = letter.message[:LONGEST_MESSAGE].encode("ascii", "backslashreplace").decode()
        headers["EmailFlow-Message"] = " ".join(text.split())
        headers["EmailFlow-Sequence"] = str(letter.sequence)
        if letter.contact:
            headers["EmailFlow-Contact"] = letter.contact
        if letter.step:
            headers["EmailFlow-Step"] = letter.step
        subject = self._names.dead_letter_subject(letter.reason, letter.origin)
        while True:
            try:
                await publish_all(self._connection, [Message(subject, data, headers)])
                return
            except (Unavailable, JetStreamError) as away:
                log.warning("DEADLETTER takes nothing: %s", away)
                await asyncio.sleep(RETRY_AFTER)
