"""The NATS door on a real nats-server, with an Ingest that a test can let fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from nats.aio.client import Client
from tests.integration.jetstream.conftest import RUNTIME, connected, running_server

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Connection
from emailflow_runtime.adapters.jetstream.inbound import InboundStream
from emailflow_runtime.adapters.nats_door import NatsDoor

WITHIN = 30
KIND = "com.example.signed_up"
NAMES = Names(RUNTIME.namespace, RUNTIME.name)
HEADERS = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": KIND}


class FakeIngest:
    """Keeps what it accepts. `faults` are raised first, one for each call, by the id of the event."""

    def __init__(self) -> None:
        self.accepted: list[Any] = []
        self.faults: dict[str, list[Exception]] = {}
        self.arrived = asyncio.Condition()

    async def accept(self, event: Any) -> None:
        if faults := self.faults.get(event.id):
            raise faults.pop(0)
        async with self.arrived:
            self.accepted.append(event)
            self.arrived.notify_all()

    async def have(self, count: int) -> list[str]:
        """The ids of what was accepted, once there are so many."""
        async with asyncio.timeout(WITHIN), self.arrived:
            await self.arrived.wait_for(lambda: len(self.accepted) >= count)
        return [each.id for each in self.accepted]


class Producer:
    """Publishes as producers do: with a plain client and JetStream's answer."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def publish(
        self, data: bytes = b"", headers: dict[str, str] | None = None, kind: str = KIND
    ) -> dict[str, Any]:
        subject = NAMES.inbound_subject(kind)
        answer = await self.client.request(subject, data, timeout=WITHIN, headers=headers)
        said: dict[str, Any] = json.loads(answer.data)
        return said

    async def event(self, name: str, **headers: str) -> dict[str, Any]:
        return await self.publish(b"", {**HEADERS, "ce-id": name, **headers})


@pytest.fixture
async def server(tmp_path: Any) -> AsyncIterator[Any]:
    async with running_server(tmp_path) as running:
        yield running


@pytest.fixture
async def connection(server: Any) -> AsyncIterator[Connection]:
    async with connected(server, "door", provision=True) as made:
        yield made


@pytest.fixture
async def producer(server: Any, connection: Connection) -> AsyncIterator[Producer]:
    client = Client()
    await client.connect(server.url)
    yield Producer(client)
    await client.close()


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
async def open_door(connection: Connection) -> AsyncIterator[Callable[..., Any]]:
    """Opens doors; each is closed at the end."""
    running: list[asyncio.Task[None]] = []

    def opened(ingest: Any, *, max_bytes: int = 100_000) -> NatsDoor:
        door = NatsDoor(InboundStream(connection, NAMES), ingest, max_bytes=lambda: max_bytes)
        running.append(asyncio.create_task(door.run()))
        return door

    yield opened
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def drained(connection: Connection) -> None:
    """Return once IN is empty: every message is settled."""
    async with asyncio.timeout(WITHIN):
        while True:
            info = await connection.api(f"STREAM.INFO.{NAMES.inbound}")
            if not info["state"]["messages"]:
                return
            # The stream has no event for it.
            await asyncio.sleep(0.02)


async def letters(connection: Connection) -> list[Any]:
    """Everything in DEADLETTER, oldest first."""
    body = {"seq": 1, "batch": 1000, "next_by_subj": f"{NAMES.subject_prefix}.deadletter.>"}
    return [each async for each in connection.direct_get_many(NAMES.dead_letters, body)]
