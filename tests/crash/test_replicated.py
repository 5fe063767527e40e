"""The same on three nats-servers: a point of each kind, a leader that is killed, one that is paused.

A replicated stream refuses a guarded write while another one is under way (10164), which says nothing about
the epoch; only 10071 does.
"""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from nats.aio.msg import Msg
from tests.crash.awaits import Place
from tests.crash.crashing import crash, send
from tests.crash.house import WITHIN, House
from tests.crash.points import HTTP, POINTS
from tests.crash.processes import Server, Servers
from tests.integration.jetstream.test_epoch import holding

from emailflow_runtime.adapters.jetstream import connection as connections
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, JetStreamError, connect
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.app.stores import PutContact, PutRelayPosition
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.errors import EpochLost, Unavailable

SOME = (
    "LOG_STORED",
    "BATCH_WRITTEN",
    "CONSENT_WRITTEN",
    "COMMIT_ANSWERED",
    "RELAYED",
    "SMTP_ANSWERED",
    "EPOCH_WRITTEN",
)
NEAR = pytest.mark.parametrize("leading", [True, False], ids=["leader", "follower"])
"""What the server that the owner is connected to is for STATE."""
RENEWED = Place("adapters/jetstream/epoch", "Epoch.renew", "self._renewed")
PAUSE = 5.0
"""Seconds: longer than an election, and than a request may take."""


@pytest.mark.parametrize("name", SOME)
async def test_what_was_accepted_has_its_mail_once(replicated: House, name: str) -> None:
    await crash(replicated, POINTS[name])


async def leader(house: House, servers: Servers, stream: str = "") -> Server:
    """The server that leads STATE, or another stream."""
    info = await house.connection.api(f"STREAM.INFO.{stream or house.names.state(0)}")
    return next(each for each in servers.each if each.name == info["cluster"]["leader"])


async def nearby(house: House, servers: Servers, *, leading: bool) -> Server:
    """The server that leads STATE, or one that doesn't."""
    lead = await leader(house, servers)
    return next(each for each in servers.each if (each is lead) is leading)


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


@NEAR
async def test_the_server_that_the_owner_is_connected_to_is_paused_and_nothing_is_lost_or_doubled(
    replicated: House, cluster: Servers, leading: bool
) -> None:
    near = await nearby(replicated, cluster, leading=leading)
    life = replicated.begin(near=near)
    await replicated.told("ready")
    await send(replicated, HTTP, 20)
    async with paused(near):
        await replicated.all_accepted()
    await replicated.settled()
    # What went back would be found by the next owner, and done again.
    life.signal(signal.SIGKILL)
    await life.ended()
    replicated.begin()
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


async def test_an_owner_that_ends_after_a_new_epoch_leaves_everything_to_the_next(
    replicated: House, cluster: Servers
) -> None:
    near = await nearby(replicated, cluster, leading=False)
    life = replicated.begin(RENEWED, over=True, near=near)
    await replicated.told("ready")
    await send(replicated, HTTP, 20)
    async with paused(near):
        await life.ended()
    assert life.told("reached") is not None
    await replicated.note_half_way()
    replicated.begin()
    await replicated.verdict(unknown=len(replicated.half_way))


@pytest.mark.parametrize("after", [1, 15])
async def test_the_end_of_a_batch_that_comes_after_a_new_epoch_has_nothing_of_it_stored(
    replicated: House, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    connection, names = replicated.connection, replicated.names
    owner = JetStreamStateStore(connection, names, 0)
    await owner.claim()
    monkeypatch.setattr(connections, "TIMEOUT", 1)
    with holding(connection, after=after) as held:
        committing = asyncio.create_task(
            owner.commit([PutContact(Contact(f"c{number}", email="one")) for number in range(20)])
        )
        await held.some.wait()
    await committing
    await owner.commit([PutContact(Contact(f"c{number}", email="two")) for number in range(20)])

    await held.pass_on(connection, names)

    found = await owner.contacts([f"c{number}" for number in range(20)])
    assert {contact.email for contact in found.values()} == {"two"}


@NEAR
@pytest.mark.parametrize("count", [1, 20])
async def test_what_a_paused_server_held_is_not_stored_over_what_came_after(
    replicated: House, cluster: Servers, count: int, leading: bool
) -> None:
    near = await nearby(replicated, cluster, leading=leading)
    async with connected(near.url) as connection:
        owner = JetStreamStateStore(connection, replicated.names, 0)
        await owner.claim()

        async def commit(said: str) -> None:
            contacts = [PutContact(Contact(f"c{number}", email=said)) for number in range(1, count)]
            await owner.commit([*contacts, PutRelayPosition(len(said))])

        await commit("one")
        answers = await answered(connection)
        async with paused(near):
            await commit("three")
            await commit("fifteen")
        # The server passes on what it held, and is answered; unless it was cut off before it had read it.
        with suppress(TimeoutError):
            async with asyncio.timeout(PAUSE):
                await answers.get()
        found = await owner.contacts([f"c{number}" for number in range(1, count)])
        assert {contact.email for contact in found.values()} <= {"fifteen"}
        assert await owner.relay_position() == len("fifteen")
        await commit("twenty")


async def answered(connection: Connection) -> "asyncio.Queue[bytes]":
    """What is answered from here on to what was asked on this connection until now."""
    reply, _ = await connection.wire.expect()
    inbox, _, last = reply.rpartition(".")
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def take(message: Msg) -> None:
        if int(message.subject.rpartition(".")[2]) <= int(last) + 1:
            answers.put_nowait(message.data)

    await connection.client.subscribe(f"{inbox}.*", cb=take)
    await connection.client.flush()
    return answers


async def test_an_answer_of_a_replica_that_has_not_got_so_far_is_not_taken(replicated: House) -> None:
    connection, stream = replicated.connection, replicated.names.state(0)
    owner = JetStreamStateStore(connection, replicated.names, 0)
    await owner.claim()
    last = await owner.commit([PutContact(Contact("c"))])
    body = {"multi_last": [replicated.names.state_subjects(0).contact("c")]}
    assert len([each async for each in connection.direct_get_many(stream, body, known=last)]) == 1
    with pytest.raises(Unavailable, match="lags behind"):
        assert [each async for each in connection.direct_get_many(stream, body, known=last + 1)]


async def test_an_owner_reads_no_further_back_than_it_has_written(
    replicated: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    connection = replicated.connection
    ask = connection.direct_get_many

    def asking(stream: str, body: dict[str, Any], *, known: int = 0) -> AsyncIterator[Arrived]:
        asked.append(known)
        return ask(stream, body, known=known)

    monkeypatch.setattr(connection, "direct_get_many", asking)
    for _ in range(2):
        owner = JetStreamStateStore(connection, replicated.names, 0)
        await owner.claim()
        assert await owner.contacts(["nobody"]) == {}
        committed = await owner.commit([PutContact(Contact("c"))])
        assert list(await owner.contacts(["c"])) == ["c"]
        # The epoch is what was written just before.
        assert asked[-2:] == [committed - 1, committed]


async def test_what_a_replica_without_the_owners_epoch_holds_is_no_finding(replicated: House) -> None:
    owner = JetStreamStateStore(replicated.connection, replicated.names, 0)
    await owner.claim()
    assert [each async for each in owner.scan()] == []
    stream, epoch = replicated.names.state(0), replicated.names.state_subjects(0).epoch
    # A replica that lags behind, as it looks to who scans it.
    await replicated.connection.api(f"STREAM.PURGE.{stream}", {"filter": epoch})
    with pytest.raises(Unavailable, match="lags behind"):
        assert [each async for each in owner.scan()] == []


# --- what a new owner hears of consent --------------------------------------------------------------


class Words:
    """What addresses say of one topic, as an owner writes it and others hear it."""

    def __init__(self, house: House, connection: Connection) -> None:
        self.bucket = house.names.bucket("CONSENT")
        self._owner = ConsentBucket(connection, self.bucket)
        self._times = itertools.count(1)
        self.last: dict[str, bool] = {}

    async def say(self, count: int = 500) -> None:
        """Let addresses change their minds, each word on disk."""
        addresses = [f"a{number}" for number in range(count)]
        for address in addresses:
            self.last[address] = not self.last.get(address, True)
        await asyncio.gather(*map(self._put, addresses))

    async def _put(self, address: str) -> None:
        while True:
            with suppress(Unavailable, JetStreamError):
                word = self.last[address]
                await self._owner.put(address, "offers", subscribed=word, at=next(self._times))
                return

    async def heard_by(self, connection: Connection) -> dict[str, bool]:
        """What somebody knows of them who has just caught up."""
        consents = ConsentBucket(connection, self.bucket)
        async with asyncio.timeout(WITHIN):
            await consents.catch_up()
        return {address: consents.of(address).topics["offers"] for address in self.last}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    made = await connect(Credentials(url), "test")
    try:
        yield made
    finally:
        await made.close()


async def test_a_new_owner_hears_all_that_was_said_of_consent_by_a_replica_that_was_away(
    replicated: House, cluster: Servers
) -> None:
    leading = await leader(replicated, cluster, f"KV_{replicated.names.bucket('CONSENT')}")
    behind = next(each for each in cluster.each if each is not leading)
    async with connected(leading.url) as owner, connected(behind.url) as new_owner:
        words = Words(replicated, owner)
        await words.say()
        for _ in range(3):
            behind.signal(signal.SIGSTOP)
            try:
                await words.say()
            finally:
                behind.signal(signal.SIGCONT)

            assert await words.heard_by(new_owner) == words.last


async def test_a_new_owner_hears_all_that_was_said_of_consent_while_the_leader_changes(
    replicated: House, cluster: Servers
) -> None:
    leading = await leader(replicated, cluster, f"KV_{replicated.names.bucket('CONSENT')}")
    async with connected(cluster.url) as owner, connected(cluster.url) as new_owner:
        words = Words(replicated, owner)
        await words.say()
        async with killed(leading):
            await words.say(100)

            assert await words.heard_by(new_owner) == words.last
