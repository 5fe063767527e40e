"""LEASES: who may try to own a shard, and which replicas there are. One message each, gone when nobody
renews it.

The operator makes the bucket; while it is missing nobody owns anything. What a lease allows, and what follows
when it is lost, is not decided here.
"""

import asyncio

from nats.aio.msg import Msg

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import RuntimePlan
from emailflow_runtime.adapters.jetstream.connection import (
    EPOCH_LOST,
    TRY_AGAIN,
    Connection,
    JetStreamError,
    checked,
)
from emailflow_runtime.app.ownership import LEASE_TTL, Lease, View
from emailflow_runtime.errors import Unavailable

MEMBER = "member."
SHARD = "shard."
RELEASED_FOR = 10
"""Seconds that a release stays to be read; after it the shard is as free as one that nobody ever held."""
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_FREE = {"KV-Operation", "Nats-Marker-Reason"}
"""Headers of a message that says that there is no value any more."""


class LeaseBucket:
    """The port Leases on a KV bucket."""

    def __init__(self, connection: Connection, runtime: RuntimePlan, replica: str) -> None:
        """`replica` names this process among all others: one token of a subject, never used again."""
        self.replica = replica
        self.changed = asyncio.Event()
        bucket = Names(runtime.namespace, runtime.name).bucket("LEASES")
        self._connection = connection
        self._prefix = f"$KV.{bucket}."
        self._stream = f"KV_{bucket}"
        self._said: dict[str, bytes] = {}

    async def listen(self) -> None:
        """See Leases."""

        async def take(message: Msg) -> None:
            # A renewal says what was said before.
            if self._said.get(message.subject) != message.data:
                self._said[message.subject] = message.data
                self.changed.set()

        await self._connection.client.subscribe(f"{self._prefix}>", cb=take)

    async def read(self) -> View:
        """See Leases."""
        if not self._connection.connected:
            raise Unavailable("NATS is not connected")
        body = {"multi_last": [f"{self._prefix}>"]}
        found = [each async for each in self._connection.direct_get_many(self._stream, body)]
        members, leases = set(), {}
        for each in found:
            headers = each.headers or {}
            key = headers["Nats-Subject"].removeprefix(self._prefix)
            holder = "" if _FREE & headers.keys() else each.data.decode()
            if key.startswith(SHARD):
                shard = int(key.removeprefix(SHARD))
                leases[shard] = Lease(holder, int(headers["Nats-Sequence"]))
            elif holder:
                members.add(holder)
        return View(frozenset(members), leases)

    async def announce(self) -> None:
        """See Leases."""
        await self._put(f"{MEMBER}{self.replica}", self.replica, {"Nats-TTL": f"{LEASE_TTL}s"})

    async def withdraw(self) -> None:
        """See Leases."""
        gone = {"KV-Operation": "DEL", "Nats-TTL": f"{RELEASED_FOR}s"}
        await self._put(f"{MEMBER}{self.replica}", "", gone)

    async def take(self, shard: int, revision: int) -> int | None:
        """See Leases."""
        held = {"Nats-TTL": f"{LEASE_TTL}s", _EXPECTED: str(revision)}
        return await self._swap(shard, self.replica, held)

    async def release(self, shard: int, revision: int) -> None:
        """See Leases."""
        free = {"KV-Operation": "DEL", "Nats-TTL": f"{RELEASED_FOR}s", _EXPECTED: str(revision)}
        await self._swap(shard, "", free)

    async def _swap(self, shard: int, holder: str, headers: dict[str, str]) -> int | None:
        try:
            return await self._put(f"{SHARD}{shard}", holder, headers)
        except JetStreamError as refused:
            if refused.code in (EPOCH_LOST, TRY_AGAIN):
                return None
            raise

    async def _put(self, key: str, value: str, headers: dict[str, str]) -> int:
        subject = f"{self._prefix}{key}"
        self._said[subject] = value.encode()
        answer = await self._connection.request(subject, value.encode(), headers)
        return int(checked(answer)["seq"])
