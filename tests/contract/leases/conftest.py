"""LEASES in memory, and on a real nats-server: what a replica sees, restarts, and a bucket that is lost."""

import asyncio
import contextlib
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from tests.integration.jetstream.conftest import connected, running_server

from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan
from emailflow_runtime.adapters.in_memory.lease_bucket import InMemoryLeases, LeaseState
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.jetstream.connection import JetStreamError
from emailflow_runtime.adapters.jetstream.lease_bucket import LeaseBucket

RUNTIME = RuntimePlan(namespace="mail", name="default", shards=2)
(CONFIG,) = (each for each in streams(RUNTIME) if each["name"].endswith("_LEASES"))


class InMemory:
    """All in memory."""

    def __init__(self):
        self._state = LeaseState(LoopClock(time.time_ns(), zero=asyncio.get_running_loop().time()))

    async def replica(self, name):
        return InMemoryLeases(self._state, name)

    async def restart(self):
        pass

    async def make_anew(self):
        self._state.forget()


class OnJetStream:
    """A nats-server, and a connection for each replica."""

    def __init__(self, stack, server):
        self._stack = stack
        self._server = server

    async def replica(self, name):
        connection = await self._stack.enter_async_context(connected(self._server, name))
        return LeaseBucket(connection, RUNTIME, name)

    async def restart(self):
        await self._server.restart()

    async def make_anew(self):
        """As the operator does where the bucket is gone."""
        async with connected(self._server, "operator") as connection:
            name = CONFIG["name"]
            with contextlib.suppress(JetStreamError):
                await connection.api(f"STREAM.DELETE.{name}")
            await connection.api(f"STREAM.CREATE.{name}", CONFIG)


@asynccontextmanager
async def in_memory(folder):
    yield InMemory()


@asynccontextmanager
async def on_jetstream(folder):
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(folder))
        made = OnJetStream(stack, server)
        await made.make_anew()
        yield made


@pytest.fixture(params=[in_memory, on_jetstream], ids=["in memory", "jetstream"])
async def bucket(request, tmp_path):
    """Where leases are kept."""
    async with request.param(tmp_path) as made:
        yield made
