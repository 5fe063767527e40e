"""Feeds: durable pull consumers, pinned to one owner (`priority_policy: pinned_client`, ADR-42 of NATS).

There is always a pull under way, which the server ends after a while: silence means that the pull was lost,
and it is sent again. A gap in the numbers of deliveries means that another process got a message; then all
goes back to the floor of the acknowledgements, so that nothing comes after what is behind it. Written on the
raw protocol, since the client library knows no priority groups.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER, Names
from emailflow_api.jetstream.topology import OWNER_GROUP, PLAN, consumer_name
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.adapters.jetstream.event_log import CONTACT_HEADER, REDRIVE_HEADER
from emailflow_runtime.adapters.jetstream.unreadable import Noted, Unreadable, unheard
from emailflow_runtime.adapters.jetstream.wire import Arrived, Listening, frame
from emailflow_runtime.app.stores import Delivered, DeliveredEvent, Feed, Standing
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.core.cloudevents.errors import CodecError, InvalidAttribute
from emailflow_runtime.core.redrive import Redrive
from emailflow_runtime.errors import Unavailable

BATCH = 256
EXPIRES = 4
"""Seconds that a pull waits. No more than a lease lasts after its last renewal but one, so that what a paused
owner has asked for is over when the next one comes (`ownership.LEASE_TTL`)."""
SILENCE = EXPIRES + 3
YIELD = 0.5
SECOND = 1_000_000_000
RETRY_AFTER = 0.2
RECENT = 2048
"""Events that a process keeps as read, for the next feed that gets them."""
RECENT_BYTES = 2 << 20
"""What their data may be together; one that has more than a thirtieth of it is not kept."""
PULL_BYTES = 2 << 20
"""Bytes that a pull asks for; where the next message is larger, the next pull asks for more."""

log = logging.getLogger(__name__)

Decode = Callable[[Arrived], Delivered]
"""Raises CodecError for what nobody here wrote."""


def place(message: Arrived) -> tuple[int, int]:
    """Stream sequence and timestamp (nanoseconds) of a delivered message, from its reply subject."""
    tokens = message.reply.split(".")
    # With a domain and an account two tokens come before the stream (ADR-15 of NATS).
    start = 5 if len(tokens) == 9 else 7
    return int(tokens[start]), int(tokens[start + 2])


def delivery(message: Arrived) -> int:
    """The number of a delivery: the consumer counts them, from 1 at each reset."""
    tokens = message.reply.split(".")
    return int(tokens[6 if len(tokens) == 9 else 8])


class PinnedFeed:
    """The port Feed on a pinned consumer."""

    def __init__(
        self, connection: Connection, stream: str, consumer: str, decode: Decode, unreadable: Unreadable
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._consumer = consumer
        self._decode = decode
        self._unreadable = unreadable
        self._arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        self._listening: Listening | None = None
        self._asked = 0
        self._bytes = PULL_BYTES
        self._came = False
        """Whether anything has come since the last pull."""
        self._patience: float = SILENCE
        self._pin = ""
        self._holding = ""
        """The pin of the first message since the take-over. Another one means another holder in between,
        who may have begun the numbers anew, so that they would fit by chance."""
        self._deliveries = 0
        self._last = ""

    async def take_over(self) -> Standing:
        """See Feed. Waits for the consumer: a flow's plan may be here before it."""
        # Whoever takes over again starts afresh: what had arrived will come once more.
        await self._stop_listening()
        while True:
            try:
                await self._unpin()
                reset = await self._connection.api(f"CONSUMER.RESET.{self._stream}.{self._consumer}", {})
                break
            except (JetStreamError, Unavailable) as not_yet:
                log.info("consumer %s is not there yet: %s", self._consumer, not_yet)
                await asyncio.sleep(RETRY_AFTER)
        arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        self._arrived = arrived
        self._asked, self._pin, self._deliveries, self._last = 0, "", 0, ""
        self._holding = ""

        self._listening = await self._connection.wire.listen(arrived.put_nowait)
        return _standing(reset)

    async def _unpin(self) -> None:
        try:
            await self._connection.api(
                f"CONSUMER.UNPIN.{self._stream}.{self._consumer}", {"group": OWNER_GROUP}
            )
        except JetStreamError as nobody:
            log.debug("nobody holds %s: %s", self._consumer, nobody)

    async def standing(self) -> Standing:
        """See Feed."""
        return _standing(await self._connection.api(f"CONSUMER.INFO.{self._stream}.{self._consumer}"))

    async def next_batch(self) -> Sequence[Delivered]:
        """See Feed."""
        batch: list[Delivered] = []
        while not batch:
            await self._keep_pulling()
            try:
                async with asyncio.timeout(self._patience):
                    message = await self._arrived.get()
            except TimeoutError:
                # Not even a heartbeat: the pull is lost.
                self._asked, self._patience = 0, SILENCE
                continue
            whole = self._sort(message, batch)
            while whole and not self._arrived.empty() and len(batch) < BATCH:
                whole = self._sort(self._arrived.get_nowait(), batch)
            if not whole:
                log.info("%s is taken over again: a message of it went elsewhere", self._consumer)
                await self.take_over()
                batch.clear()
        return batch

    async def _keep_pulling(self) -> None:
        if self._asked > BATCH // 2 or self._listening is None:
            return
        wanted = BATCH - self._asked
        pull = {
            "batch": wanted,
            "expires": EXPIRES * SECOND,
            "group": OWNER_GROUP,
            "max_bytes": self._bytes,
        }
        if self._pin:
            pull["id"] = self._pin
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        try:
            pulling = frame(subject, json.dumps(pull).encode(), {}, reply=self._listening.inbox)
            await self._connection.wire.send(pulling)
            self._asked, self._came = self._asked + wanted, False
        except Unavailable as away:
            log.info("can't pull %s: %s", self._consumer, away)

    def _sort(self, message: Arrived, batch: list[Delivered]) -> bool:
        """Whether the message is the one that follows; if so, it is noted."""
        headers = message.headers
        if (status := headers.get("Status")) is not None and not message.reply.startswith("$JS.ACK."):
            self._note_status(status, headers)
            return True
        pin = headers.get("Nats-Pin-Id", self._pin)
        self._holding = self._holding or pin
        if delivery(message) != self._deliveries + 1 or pin != self._holding:
            return False
        self._deliveries += 1
        self._bytes, self._came = PULL_BYTES, True
        self._last = message.reply
        self._asked -= 1
        self._pin = pin
        try:
            batch.append(self._decode(message))
        except CodecError as broken:
            self._unreadable.put_aside(message, place(message)[0], broken)
        return True

    def _note_status(self, status: str, headers: Mapping[str, str]) -> None:
        if status == "409" and not self._came:
            # The next message does not fit into what was asked for.
            self._bytes = 2 * int(self._connection.client.max_payload)
        if status == "423":
            self._pin = ""
            # Somebody else may be taking over just now: theirs must be the first pull.
            self._asked, self._patience = BATCH, YIELD
            return
        # The pull is over, with this many messages not delivered.
        self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages", BATCH)))

    def acknowledge(self, batch: Iterable[Delivered]) -> None:
        """See Feed."""
        task = asyncio.get_running_loop().create_task(self._acknowledge([each.token for each in batch]))
        task.add_done_callback(_note_failure)

    async def _acknowledge(self, tokens: Sequence[str]) -> None:
        await self._connection.wire.send(b"".join([frame(token, b"+ACK", {}) for token in tokens]))

    async def close(self) -> None:
        """See Feed. The next owner need not wait for what this one has still in hand."""
        await self._unreadable.close()
        if self._listening is None:
            return
        await self._stop_listening()
        with contextlib.suppress(Unavailable):
            if self._last:
                await self._connection.publish(self._last, b"-NAK")
            if self._pin:
                await self._unpin()

    async def _stop_listening(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            await self._connection.wire.stop(listening)


def _standing(info: dict[str, Any]) -> Standing:
    return Standing(
        pending=int(info["num_pending"]),
        delivered=int(info["delivered"]["stream_seq"]),
        floor=int(info["ack_floor"]["stream_seq"]),
        plan=(info["config"].get("metadata") or {}).get(PLAN, ""),
    )


def _note_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("acknowledgements lost: %s", error)


class JetStreamFeeds:
    """The port Feeds on JetStream. `noted` hears of what could not be read."""

    def __init__(self, connection: Connection, names: Names, noted: Noted = unheard) -> None:
        self._connection = connection
        self._names = names
        self._noted = noted
        self._decode = EventDecoder()

    def flow(self, flow: str, shard: int) -> Feed:
        """See Feeds."""
        return self._events(flow, shard)

    def contacts(self, shard: int) -> Feed:
        """See Feeds."""
        return self._events(CONTACTS_CONSUMER, shard)

    def _events(self, reader: str, shard: int) -> Feed:
        unreadable = Unreadable(self._connection, self._names, reader, self._noted)
        consumer = consumer_name(reader, shard)
        return PinnedFeed(self._connection, self._names.events, consumer, self._decode, unreadable)


class EventDecoder:
    """Reads the log's messages for all feeds of a process: an event that one has just had is not read anew.

    The reader of the contacts and at least one flow get each event, mostly within the same second.
    """

    def __init__(self) -> None:
        self._recent: dict[int, DeliveredEvent] = {}
        self._bytes = 0

    def __call__(self, message: Arrived) -> DeliveredEvent:
        """The event as delivered. Raises CodecError for a message that no door and no relay wrote."""
        sequence, at = place(message)
        known = self._recent.get(sequence)
        if known is not None and known.at == at:
            return msgspec.structs.replace(known, token=message.reply)
        event = read_event(sequence, at, message.headers, message.data, message.reply)
        if (size := len(message.data)) <= RECENT_BYTES // 30:
            self._bytes += size
            while len(self._recent) >= RECENT or self._bytes > RECENT_BYTES:
                self._bytes -= len(self._recent.pop(next(iter(self._recent))).event.data or b"")
            self._recent[sequence] = event
        return event


def event_at(sequence: int, at: int, headers: Mapping[str, str], data: bytes) -> DeliveredEvent | None:
    """The event in a message of EVENTS, at its place; None for a message that no door and no relay wrote."""
    try:
        return read_event(sequence, at, headers, data)
    except CodecError as broken:
        log.error("EVENTS holds something that is no event, at %d: %s", sequence, broken.reason)
        return None


def read_event(
    sequence: int, at: int, headers: Mapping[str, str], data: bytes, token: str = ""
) -> DeliveredEvent:
    """The same. Raises CodecError for a message that no door and no relay wrote."""
    redrive = headers.get(REDRIVE_HEADER)
    try:
        redriven = msgspec.json.decode(redrive, type=Redrive) if redrive else None
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise InvalidAttribute(f"{REDRIVE_HEADER}: expected what a redrive writes") from None
    return DeliveredEvent(
        sequence=sequence,
        at=at,
        token=token,
        event=nats.read_stored(headers, data),
        contact=headers.get(CONTACT_HEADER, ""),
        redrive=redriven,
    )
