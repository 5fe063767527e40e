"""A nats-server of its own for each test, with the streams of one runtime on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import RuntimePlan
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.provision import provision_streams
from emailflow_runtime.adapters.nats_server import NatsServer

RUNTIME = RuntimePlan(namespace="mail", name="default")


@asynccontextmanager
async def running_server(folder) -> AsyncIterator[NatsServer]:
    """A nats-server that runs meanwhile."""
    running = NatsServer(folder, 0)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def connected(server, name, *, provision=False) -> AsyncIterator[Connection]:
    """A connection to it, as one process has; with `provision` the runtime's streams exist then."""
    made = await connect(Credentials(server.url), name)
    try:
        if provision:
            await provision_streams(made, RUNTIME, events_bytes=256 << 20)
        yield made
    finally:
        await made.close()


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsServer]:
    """A running nats-server."""
    async with running_server(tmp_path) as running:
        yield running


@pytest.fixture
async def connection(server) -> AsyncIterator[Connection]:
    """A connection to it; the runtime's streams exist."""
    async with connected(server, "test", provision=True) as made:
        yield made


@pytest.fixture
async def other(server, connection) -> AsyncIterator[Connection]:
    """A second process's connection to the same streams."""
    async with connected(server, "other") as made:
        yield made


@pytest.fixture
def names() -> Names:
    """The names of the runtime."""
    return Names(RUNTIME.namespace, RUNTIME.name)
