"""A nats-server of its own for each test, with the streams of one runtime on it."""

from collections.abc import AsyncIterator

import pytest

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import RuntimePlan
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.provision import provision_streams
from emailflow_runtime.adapters.nats_server import NatsServer

RUNTIME = RuntimePlan(namespace="mail", name="default")


@pytest.fixture
async def server(tmp_path) -> AsyncIterator[NatsServer]:
    """A running nats-server."""
    running = NatsServer(tmp_path, 0)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def connection(server) -> AsyncIterator[Connection]:
    """A connection to it; the runtime's streams exist."""
    made = await connect(Credentials(server.url), "test")
    await provision_streams(made, RUNTIME, events_bytes=256 << 20)
    yield made
    await made.close()


@pytest.fixture
async def other(server, connection) -> AsyncIterator[Connection]:
    """A second process's connection to the same streams."""
    made = await connect(Credentials(server.url), "other")
    yield made
    await made.close()


@pytest.fixture
def names() -> Names:
    """The names of the runtime."""
    return Names(RUNTIME.namespace, RUNTIME.name)
