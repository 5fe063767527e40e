"""A stale owner that still pulls: what it got reaches the next owner soon, and in its turn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER, Names
from emailflow_api.plans import RuntimePlan
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import EXPIRES, JetStreamFeeds
from emailflow_runtime.adapters.jetstream.provision import provision_streams
from emailflow_runtime.adapters.nats_server import NatsServer
from emailflow_runtime.app.ownership import LEASE_TTL, RENEW_EVERY
from emailflow_runtime.app.stores import DeliveredEvent, Feed, LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent

WITHIN = 20
"""Seconds: less than a pin lasts, and a third of what an unacknowledged message waits for."""
NAMES = Names("mail", "default")


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[tuple[Connection, Connection]]:
    """The connections of two processes."""
    async with AsyncExitStack() as stack:
        server = NatsServer(tmp_path, 0)
        await server.start()
        stack.push_async_callback(server.stop)
        connections = [await connect(Credentials(server.url), name) for name in ("stale", "owner")]
        for each in connections:
            stack.push_async_callback(each.close)
        await provision_streams(
            connections[0], RuntimePlan(namespace="mail", name="default"), events_bytes=64 << 20
        )
        yield connections[0], connections[1]


async def append(connection: Connection, *numbers: int) -> None:
    events = [CloudEvent(id=str(number), source="/s", type="com.example.tick") for number in numbers]
    await JetStreamEventLog(connection, NAMES).append([LogEntry(each, "c1", 0) for each in events])


async def take(feed: Feed, count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(WITHIN):
        while len(found) < count:
            found += [each.event.id for each in await feed.next_batch() if isinstance(each, DeliveredEvent)]
    return found


async def test_what_an_idle_stale_owner_was_given_reaches_the_owner_when_it_stops(
    two: tuple[Connection, Connection],
) -> None:
    one, other = two
    stale, owner = JetStreamFeeds(one, NAMES).contacts(0), JetStreamFeeds(other, NAMES).contacts(0)
    await stale.take_over()
    # Its pull is the first in the queue, and names no pin.
    pulling = asyncio.create_task(take(stale, 1))
    while not (await one.api(f"CONSUMER.INFO.{NAMES.events}.{CONTACTS_CONSUMER}"))["num_waiting"]:
        pass
    await owner.take_over()
    await append(other, 1)
    assert await pulling == ["1"]
    waiting = asyncio.create_task(take(owner, 3))
    await append(other, 2, 3)
    await stale.close()
    assert await waiting == ["1", "2", "3"]
    await owner.close()


def test_a_paused_owners_pulls_are_over_before_its_lease_is() -> None:
    assert EXPIRES <= LEASE_TTL - RENEW_EVERY
