"""A commit outlives a restart of nats-server: it waits, completes, and is stored once."""

import asyncio
import os
import signal

import pytest

from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import PutContact
from emailflow_runtime.core.contact import Contact


@pytest.mark.parametrize("count", [1, 20])
async def test_a_commit_waits_for_the_server_and_is_stored_once(server, connection, names, count):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    before = (await connection.api(f"STREAM.INFO.{names.state(0)}"))["state"]["last_seq"]
    changes = [PutContact(Contact(key=f"c{number}")) for number in range(count)]
    await server.stop()

    commit = asyncio.create_task(store.commit(changes))
    # It has begun, and meets a server that is away.
    await asyncio.sleep(0)
    assert not commit.done()
    await server.start()
    async with asyncio.timeout(30):
        last = await commit

    found = await store.contacts(change.contact.key for change in changes)
    assert len(found) == count
    state = (await connection.api(f"STREAM.INFO.{names.state(0)}"))["state"]
    # What got no answer may yet arrive, so there is a new epoch before it is said again (ADR 0017).
    assert state["last_seq"] == last == before + 1 + count


async def test_commits_across_a_restart_lose_and_double_nothing(server, connection, names):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    back = asyncio.create_task(connection.reconnected())
    restart = asyncio.create_task(server.restart())
    committed = 0
    async with asyncio.timeout(60):
        while not (back.done() and restart.done()):
            await store.commit([PutContact(Contact(key=f"c{committed}"))])
            committed += 1

    found = await store.contacts(f"c{number}" for number in range(committed + 1))
    assert found.keys() == {f"c{number}" for number in range(committed)}


async def test_a_server_that_is_paused_ends_though_nobody_waits_for_it_any_more(server):
    os.kill(server.pid, signal.SIGSTOP)
    handle = os.pidfd_open(server.pid)
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0)

    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)

    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, over.set)
    async with asyncio.timeout(30):
        await over.wait()
    asyncio.get_running_loop().remove_reader(handle)
    os.close(handle)
