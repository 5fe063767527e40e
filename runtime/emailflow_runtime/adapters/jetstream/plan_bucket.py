"""PLANS in its KV bucket: followed by runtimes, written by `emailflow dev`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from emailflow_api import plans as p
from emailflow_api.plans.entries import CURRENT, Decoded, from_entries, to_entries
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection, checked
from emailflow_runtime.errors import Unavailable

SETTLE = 0.05
"""Seconds: a change seldom comes alone, and those that come together make one snapshot."""


class PlanBucket:
    """Reads PLANS for a runtime (the port PlanSource), and writes it for `emailflow dev`."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._bucket = bucket

    async def snapshots(self) -> AsyncIterator[p.Plans]:
        """See PlanSource. Waits for NATS and for the bucket; what has not changed is not decoded again."""
        tail = BucketTail(self._connection, self._bucket)
        decoded: Decoded = {}
        await tail.start_when_there()
        try:
            while True:
                plans = from_entries(tail.values, decoded)
                if plans is not None:
                    yield plans
                await tail.changed()
                await asyncio.sleep(SETTLE)
                with contextlib.suppress(Unavailable):
                    await tail.refresh()
        finally:
            await tail.close()

    async def first(self) -> p.Plans:
        """The plans, once there are any."""
        snapshots = self.snapshots()
        try:
            return await anext(snapshots)
        finally:
            await snapshots.aclose()  # type: ignore[attr-defined]  # a generator, as the port need not be

    async def read(self) -> p.Plans | None:
        """What the bucket says now. Raises Unavailable."""
        async with self._now() as tail:
            return from_entries(tail.values)

    async def write(self, plans: p.Plans) -> None:
        """Make the bucket say this: new content first, then pointers, then what nobody points to goes.

        Raises Unavailable, JetStreamError.
        """
        wanted = to_entries(plans)
        async with self._now() as tail:
            for key, value in wanted.items():
                if tail.values.get(key) != value:
                    await self._put(key, value)
            # Pointers go before what they point to.
            gone = tail.values.keys() - wanted.keys()
            for key in sorted(gone, key=lambda each: not each.startswith(CURRENT)):
                await self._put(key, b"", {"KV-Operation": "DEL"})

    @contextlib.asynccontextmanager
    async def _now(self) -> AsyncIterator[BucketTail]:
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        try:
            yield tail
        finally:
            await tail.close()

    async def _put(self, key: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        checked(await self._connection.request(f"$KV.{self._bucket}.{key}", value, headers))
