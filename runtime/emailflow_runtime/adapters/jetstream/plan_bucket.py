"""PLANS in its KV bucket: followed by runtimes, written by `emailflow dev`."""

from collections.abc import AsyncIterator

from emailflow_api import plans as p
from emailflow_api.plans.entries import PROGRAM, from_entries, to_entries
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection, checked


class PlanBucket:
    """Reads PLANS for a runtime (the port PlanSource), and writes it for `emailflow dev`."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._bucket = bucket

    async def snapshots(self) -> AsyncIterator[p.Plans]:
        """See PlanSource."""
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        while True:
            plans = from_entries(tail.values)
            if plans is not None:
                yield plans
            await tail.changed()

    async def read(self) -> p.Plans | None:
        """What the bucket says now. Raises Unavailable."""
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        return from_entries(tail.values)

    async def write(self, plans: p.Plans) -> None:
        """Make the bucket say this: new content first, then pointers, then what nobody points to goes.

        Programs stay. Raises Unavailable, JetStreamError.
        """
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        wanted = to_entries(plans)
        for key, value in wanted.items():
            if tail.values.get(key) != value:
                await self._put(key, value)
        for key in tail.values.keys() - wanted.keys():
            if not key.startswith(PROGRAM):
                await self._put(key, b"", {"KV-Operation": "DEL"})

    async def _put(self, key: str, value: bytes, headers: dict[str, str] | None = None) -> None:
        checked(await self._connection.request(f"$KV.{self._bucket}.{key}", value, headers))
