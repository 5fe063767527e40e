"""Stream IN for the NATS receiver: one work queue, shared by the receivers of all replicas.

A pull is always under way, with a heartbeat: silence means that it was lost, and it is sent again.
"""

import asyncio
import json
import logging
import re
from collections.abc import Mapping, Sequence

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from emailflow_api.jetstream.naming import DOOR_CONSUMER, Names
from emailflow_runtime.adapters.jetstream.batch import publish_all
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.adapters.jetstream.dead_letter_stream import message_line, raw_letter
from emailflow_runtime.app.inbound import Inbound, Refusal
from emailflow_runtime.errors import Unavailable

BATCH = 256
PULL_BYTES = 16 << 20
"""What is asked for at once, as far as that can be told: by how large messages were."""
UNKNOWN_SIZE = 1 << 20
SECOND = 1_000_000_000
EXPIRES = 30
HEARTBEAT = 2
SILENCE = 2.5 * HEARTBEAT
RETRY_AFTER = 0.5
ORIGIN = "_receiver"
REPLY = "EmailFlow-Reply"
"""A token of the producer's: a refusal goes to the subject that it ends. JetStream itself answers the
publish, and nobody may name any subject for the receiver to publish to."""
TOKEN = re.compile(r"[A-Za-z0-9_\-]{1,64}")

log = logging.getLogger(__name__)


class InboundStream:
    """The port InboundQueue on JetStream."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._prefix = names.inbound_subjects.removesuffix(">")
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._asked = 0
        self._typical = float(UNKNOWN_SIZE)
        """Bytes of a message: the largest lately."""

    # --- taking -------------------------------------------------------------------------------------

    async def take(self) -> Sequence[Inbound]:
        """See InboundQueue."""
        taken: list[Inbound] = []
        while not taken:
            await self._pull()
            try:
                async with asyncio.timeout(SILENCE):
                    message = await self._arrived.get()
            except TimeoutError:
                self._asked = 0
                continue
            if not message.reply.startswith("$JS.ACK."):
                await self._note_status(message.headers or {})
                continue
            taken.append(self._inbound(message))
            while not self._arrived.empty() and len(taken) < self._batch:
                message = self._arrived.get_nowait()
                if message.reply.startswith("$JS.ACK."):
                    taken.append(self._inbound(message))
                else:
                    await self._note_status(message.headers or {})
        return taken

    async def _pull(self) -> None:
        if self._asked > self._batch // 2:
            return
        wanted = self._batch - self._asked
        pull = {"batch": wanted, "expires": EXPIRES * SECOND, "idle_heartbeat": HEARTBEAT * SECOND}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._names.inbound}.{DOOR_CONSUMER}"
        try:
            if self._subscription is None:
                self._inbox = self._connection.client.new_inbox()
                self._subscription = await self._connection.client.subscribe(self._inbox, cb=self._take)
            await self._connection.publish(subject, json.dumps(pull).encode(), reply=self._inbox)
            self._asked += wanted
        except Unavailable as away:
            log.info("can't pull IN: %s", away)

    @property
    def _batch(self) -> int:
        return max(1, min(BATCH, int(PULL_BYTES / self._typical)))

    async def _take(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    async def _note_status(self, headers: Mapping[str, str]) -> None:
        status = headers.get("Status")
        if status == "100":
            return
        # The pull is over, with this many messages not delivered.
        self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", BATCH)))
        if status != "408":
            log.info("IN gives nothing now (%s): is its consumer there?", status)
            await asyncio.sleep(RETRY_AFTER)

    def _inbound(self, message: Msg) -> Inbound:
        self._asked -= 1
        self._typical = max(self._typical * 0.75, len(message.data), 1.0)
        tokens = message.reply.split(".")
        # With a domain and an account two tokens come before the stream (ADR-15 of NATS).
        deliveries = int(tokens[4 if len(tokens) == 9 else 6])
        types = message.subject.removeprefix(self._prefix)
        return Inbound(types, message.headers or {}, message.data, deliveries, message.reply)

    async def close(self) -> None:
        """See InboundQueue."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._connection.connected:
            await subscription.unsubscribe()
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message.reply.startswith("$JS.ACK."):
                await self._connection.publish(message.reply, b"-NAK")

    # --- settling -----------------------------------------------------------------------------------

    async def acknowledge(self, messages: Sequence[Inbound]) -> None:
        """See InboundQueue."""
        for each in messages:
            await self._connection.publish(each.token, b"+ACK")

    async def postpone(self, message: Inbound, seconds: float) -> None:
        """See InboundQueue."""
        delay = json.dumps({"delay": int(seconds * SECOND)})
        await self._connection.publish(message.token, f"-NAK {delay}".encode())

    async def refuse(self, message: Inbound, refusal: Refusal) -> None:
        """See InboundQueue."""
        said = {
            "EmailFlow-Reason": refusal.reason,
            "EmailFlow-Origin": ORIGIN,
            "EmailFlow-Message": message_line(refusal.message),
            "EmailFlow-Subject": f"{self._prefix}{message.types}",
        }
        subject = self._names.dead_letter_subject(refusal.reason, ORIGIN)
        # IN takes less than the server does, so it fits, unless the server's limit was lowered.
        most = self._connection.client.max_payload
        letter = raw_letter(subject, message.headers, message.data, said, most=most)
        try:
            await publish_all(self._connection, [letter])
        except JetStreamError as refused:
            raise Unavailable(f"DEADLETTER takes nothing: {refused}") from refused

    async def answer(self, message: Inbound, refusal: Refusal) -> None:
        """See InboundQueue."""
        token = message.headers.get(REPLY, "")
        if TOKEN.fullmatch(token):
            subject = self._names.refused_subject(token)
            await self._connection.publish(subject, msgspec.json.encode(refusal))
