"""A mirror of a KV bucket in memory, kept current: what has changed is read by sequence.

A plain subscription wakes it at once; because such a wake-up can be lost, it also looks every two seconds.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError, TooMany, checked
from emailflow_runtime.errors import Unavailable

LOOK_EVERY = 2.0
PAGE = 500
RETRY_AFTER = 0.5

log = logging.getLogger(__name__)


class BucketTail:
    """`values` holds the bucket's keys and values; deleted ones are gone."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self.values: dict[str, bytes] = {}
        self._by_token: dict[str, set[str]] = {}
        """Keys by their first token: a bucket may hold millions, and each mail asks for one person's."""
        self._connection = connection
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._next = 1
        self._ahead: dict[str, int] = {}
        """Sequences of values that are known before they were read."""
        self._wake = asyncio.Event()
        self._reading = asyncio.Lock()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Listen from now on, and read everything. Raises Unavailable; then it may be started again."""

        async def wake(_: Msg) -> None:
            self._wake.set()

        if self._subscription is None:
            self._subscription = await self._connection.client.subscribe(f"{self._prefix}>", cb=wake)
        await self.refresh()

    async def start_when_there(self) -> None:
        """Like `start`, but wait for NATS and for the bucket."""
        while True:
            try:
                await self.start()
                return
            except (Unavailable, JetStreamError, TooMany) as not_yet:
                log.info("%s can't be read yet: %s", self._stream, not_yet)
                await asyncio.sleep(RETRY_AFTER)

    async def close(self) -> None:
        """Stop listening."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._connection.connected:
            await subscription.unsubscribe()

    def under(self, prefix: str) -> list[tuple[str, bytes]]:
        """Keys that start with the prefix (whole tokens), without it, and their values."""
        keys = self._by_token.get(prefix.partition(".")[0], ())
        return [(key.removeprefix(prefix), self.values[key]) for key in keys if key.startswith(prefix)]

    def know(self, key: str, value: bytes, sequence: int) -> None:
        """Know a value that was written at this sequence. One that is read from before takes nothing back:
        a replica that lags behind still has those."""
        if sequence >= self._next and sequence > self._ahead.get(key, 0):
            self._ahead[key] = sequence
            self.put(key, value)

    def put(self, key: str, value: bytes | None) -> None:
        """Know a value from now on; None: there is none."""
        token = key.partition(".")[0]
        if value is None:
            if self.values.pop(key, None) is not None:
                self._by_token[token].discard(key)
                if not self._by_token[token]:
                    del self._by_token[token]
            return
        self.values[key] = value
        self._by_token.setdefault(token, set()).add(key)

    async def changed(self) -> None:
        """Return when something has changed, with `values` current."""
        while True:
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it loses a cancellation that meets the wake-up.
                async with asyncio.timeout(LOOK_EVERY):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if await self.refresh():
                    return
            except (Unavailable, JetStreamError, TooMany) as away:
                log.info("%s can't be read: %s", self._stream, away)

    async def catch_up(self, mark: str) -> None:
        """Return when `values` holds all that the bucket held at this call; keeps trying while it is away.

        Any replica may be the one that is read, also one that lags behind, for as long as it likes. So a key
        is written, the `mark`: whoever reads that word of one's own has read all that was said before.
        """
        written = 0
        while True:
            try:
                if not written:
                    answer = await self._connection.request(f"{self._prefix}{mark}", b"")
                    written = int(checked(answer)["seq"])
                await self.refresh()
                if self._next > written:
                    return
            except (Unavailable, JetStreamError, TooMany) as not_yet:
                log.info("%s can't be read up to its end: %s", self._stream, not_yet)
            await asyncio.sleep(RETRY_AFTER)

    async def refresh(self) -> bool:
        """Read what has changed; whether anything has. Raises Unavailable."""
        changed = False
        left = 1
        # One reader at a time: two would put old values over new ones.
        async with self._reading:
            while left:
                left = 0
                body = {"seq": self._next, "batch": PAGE, "next_by_subj": f"{self._prefix}>"}
                async for message in self._connection.direct_get_many(self._stream, body):
                    headers = message.headers or {}
                    self._take(headers, message.data)
                    # A page also ends when the server has sent enough bytes, so pages are not counted.
                    left = int(headers.get("Nats-Num-Pending", "0"))
                    changed = True
        return changed

    def _take(self, headers: Mapping[str, str], data: bytes) -> None:
        key = headers["Nats-Subject"].removeprefix(self._prefix)
        sequence = int(headers["Nats-Sequence"])
        self._next = sequence + 1
        if sequence < self._ahead.get(key, 0):
            return
        self._ahead.pop(key, None)
        # A marker stands for what has expired.
        if "KV-Operation" in headers or "Nats-Marker-Reason" in headers:
            self.put(key, None)
        else:
            self.put(key, data)
