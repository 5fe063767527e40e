"""Feeds on a real server: a restart of it, and messages that no door wrote. The rest is in tests/contract."""

import asyncio

import pytest
from tests.contract.feed.test_feed import WITHIN, acknowledged, entries, ids, take

from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds


@pytest.fixture
def log(connection, names):
    return JetStreamEventLog(connection, names)


@pytest.fixture
async def first(connection, names):
    feed = JetStreamFeeds(connection, names).contacts(0)
    yield feed
    await feed.close()


async def test_a_feed_goes_on_after_a_restart_of_the_server(server, connection, log, first):
    await first.take_over()
    await log.append(entries(0, 2))
    await acknowledged(first, await take(first, 2))
    back = asyncio.create_task(connection.reconnected())
    await server.restart()
    async with asyncio.timeout(WITHIN):
        await back
    await log.append(entries(2, 4))

    found = await take(first, 2)

    assert ids(found) == [2, 3]


async def test_what_is_no_event_is_passed_by(log, first, connection, names):
    await first.take_over()
    await connection.request(names.event_subject(0, "com.example.tick"), b"no event", None)
    await log.append(entries(1, 2))

    assert ids(await take(first, 1)) == [1]
