"""A mirror of a KV bucket in memory, kept current: what has changed is read by sequence.

A plain subscription wakes it at once; because such a wake-up can be lost, it also looks every two seconds.
"""

import asyncio
import contextlib
import logging

from nats.aio.msg import Msg

from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError, TooMany
from emailflow_runtime.errors import Unavailable

LOOK_EVERY = 2.0
PAGE = 500

log = logging.getLogger(__name__)


class BucketTail:
    """`values` holds the bucket's keys and values; deleted ones are gone."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self.values: dict[str, bytes] = {}
        self._connection = connection
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."
        self._next = 1
        self._wake = asyncio.Event()

    async def start(self) -> None:
        """Read everything, and listen from now on. Raises Unavailable."""

        async def wake(_: Msg) -> None:
            self._wake.set()

        await self._connection.client.subscribe(f"{self._prefix}>", cb=wake)
        await self._refresh()

    def under(self, prefix: str) -> list[tuple[str, bytes]]:
        """Keys that start with the prefix, without it, and their values."""
        return [
            (key.removeprefix(prefix), value) for key, value in self.values.items() if key.startswith(prefix)
        ]

    async def changed(self) -> None:
        """Return when something has changed, with `values` current."""
        while True:
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: before Python 3.12 it loses a cancellation that meets the wake-up.
                async with asyncio.timeout(LOOK_EVERY):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if await self._refresh():
                    return
            except (Unavailable, JetStreamError, TooMany) as away:
                log.info("%s can't be read: %s", self._stream, away)

    async def _refresh(self) -> bool:
        changed = False
        while True:
            body = {"seq": self._next, "batch": PAGE, "next_by_subj": f"{self._prefix}>"}
            count = 0
            async for message in self._connection.direct_get_many(self._stream, body):
                self._take(message.headers or {}, message.data)
                count += 1
            changed = changed or count > 0
            if count < PAGE:
                return changed

    def _take(self, headers: dict[str, str], data: bytes) -> None:
        key = headers["Nats-Subject"].removeprefix(self._prefix)
        if "KV-Operation" in headers:
            self.values.pop(key, None)
        else:
            self.values[key] = data
        self._next = int(headers["Nats-Sequence"]) + 1
