"""Timers on a real server: they outlive its restart. The rest is in tests/contract."""

import asyncio

from tests.contract.timers.test_timers import address, fired, soon

from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import PutTimer


async def test_a_timer_outlives_a_restart_of_the_server(server, connection, names):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    feed = JetStreamFeeds(connection, names).timers(0)
    await feed.take_over()
    await store.commit([PutTimer(address(1), soon())])

    back = asyncio.create_task(connection.reconnected())
    await server.restart()
    async with asyncio.timeout(20):
        await back

    assert await fired(feed, 1) == [address(1)]
    await feed.close()
