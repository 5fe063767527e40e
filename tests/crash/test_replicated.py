"""The same on three nats-servers: a point of each kind, a leader that is killed, one that is paused.

A replicated stream refuses a guarded write while another one is under way (10164), which says nothing about
the epoch; only 10071 does.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.crash.crashing import crash, send
from tests.crash.house import House
from tests.crash.points import HTTP, POINTS
from tests.crash.processes import Server, Servers

from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import PutContact
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.errors import EpochLost

SOME = ("LOG_STORED", "BATCH_WRITTEN", "COMMIT_ANSWERED", "RELAYED", "SMTP_ANSWERED", "EPOCH_WRITTEN")
PAUSE = 5.0
"""Seconds: longer than an election, and than a request may take."""


@pytest.mark.parametrize("name", SOME)
async def test_what_was_accepted_has_its_mail_once(replicated: House, name: str) -> None:
    await crash(replicated, POINTS[name])


async def leader(house: House, servers: Servers) -> Server:
    """The server that leads STATE."""
    info = await house.connection.api(f"STREAM.INFO.{house.names.state(0)}")
    return next(each for each in servers.each if each.name == info["cluster"]["leader"])


@asynccontextmanager
async def killed(server: Server) -> AsyncIterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@asynccontextmanager
async def paused(server: Server) -> AsyncIterator[None]:
    server.signal(signal.SIGSTOP)
    try:
        yield
        # How long it is away is what is tested; nothing is expected at a moment.
        await asyncio.sleep(PAUSE)
    finally:
        server.signal(signal.SIGCONT)


@pytest.mark.parametrize("away", [killed, paused])
async def test_the_leader_goes_away_under_load_and_nothing_is_lost_or_doubled(
    replicated: House, cluster: Servers, away: object
) -> None:
    assert away in {killed, paused}
    leaving = killed if away is killed else paused
    replicated.begin()
    await replicated.told("ready")
    await send(replicated, HTTP, 20)
    async with leaving(await leader(replicated, cluster)):
        await replicated.all_accepted()
    await replicated.verdict()


async def test_commits_go_on_when_the_leader_is_killed_and_a_stale_owners_are_refused(
    replicated: House, cluster: Servers
) -> None:
    owner = JetStreamStateStore(replicated.connection, replicated.names, 0)
    await owner.claim()
    server = await leader(replicated, cluster)

    async def commits(first: int) -> None:
        for number in range(first, first + 10):
            await owner.commit([PutContact(Contact(f"c{number}-{part}")) for part in range(3)])

    await commits(0)
    async with asyncio.TaskGroup() as group, killed(server):
        group.create_task(commits(10))
    found = await owner.contacts([f"c{number}-{part}" for number in range(20) for part in range(3)])
    assert len(found) == 60
    await JetStreamStateStore(replicated.connection, replicated.names, 0).claim()
    with pytest.raises(EpochLost):
        await owner.commit([PutContact(Contact("late"))])
    assert await owner.contacts(["late"]) == {}


async def test_an_owner_reads_what_was_written_also_from_a_replica_that_was_away(
    replicated: House, cluster: Servers
) -> None:
    led = await leader(replicated, cluster)
    follower = next(each for each in cluster.each if each is not led)
    async with connected(led) as writing, connected(follower) as reading:
        for round_ in range(3):
            owner = JetStreamStateStore(writing, replicated.names, 0)
            await owner.claim()
            follower.signal(signal.SIGSTOP)
            for number in range(30):
                names = [f"c{round_}-{number}-{part}" for part in range(30)]
                await owner.commit([PutContact(Contact(each, name="x" * 2000)) for each in names])
            follower.signal(signal.SIGCONT)
            successor = JetStreamStateStore(reading, replicated.names, 0)
            await successor.claim()
            for _ in range(10):
                assert len(await successor.contacts(names)) == 30


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Connection]:
    """A connection to this server, whoever leads."""
    connection = await connect(Credentials(f"nats://127.0.0.1:{server.port}"), "test")
    try:
        yield connection
    finally:
        await connection.close()
