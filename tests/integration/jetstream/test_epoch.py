"""What an owner wrote before it went on can't be stored any more, on a real server.

A server that is paused holds what it was sent. Here the connection holds it, and another one passes it on.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.contract.state_store.test_state_store import journey

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream import connection as connections
from emailflow_runtime.adapters.jetstream import epoch as epochs
from emailflow_runtime.adapters.jetstream.connection import Connection, checked
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import InHand, PutContact, PutInHand, PutRecord, PutRelayPosition
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Record
from emailflow_runtime.errors import EpochLost, Unavailable

CONTACTS = [f"c{number}" for number in range(20)]


class Held:
    """The frames that have been held, one after the other."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.some = asyncio.Event()

    def take(self, frames: bytes, *, after: int = 0) -> bytes:
        """Hold what is written but for the first `after` frames, which are given back."""
        each = re.split(rb"(?=^HPUB |^PUB )", frames, flags=re.MULTILINE)[1:]
        self.frames += each[after:]
        self.some.set()
        return b"".join(each[:after])

    async def pass_on(self, connection: Connection, names: Names) -> None:
        """The server goes on: what it held arrives, and what comes after it on the same way is stored."""
        await connection.wire.send(b"".join(self.frames))
        checked(await connection.request(names.state_subjects(0).contact("after"), b""))


@contextmanager
def holding(connection: Connection, *, after: int = 0) -> Iterator[Held]:
    """Whatever is written on this connection meanwhile is held."""
    held, send = Held(), connection.wire.send

    async def hold(frames: bytes) -> None:
        if first := held.take(frames, after=after):
            await send(first)

    connection.wire.send = hold  # type: ignore[method-assign]
    try:
        yield held
    finally:
        connection.wire.send = send  # type: ignore[method-assign]


@pytest.fixture
async def owner(connection, other, names, monkeypatch: pytest.MonkeyPatch) -> JetStreamStateStore:
    """It waits for an answer for half a second."""
    monkeypatch.setattr(connections, "TIMEOUT", 0.5)
    made = JetStreamStateStore(connection, names, 0)
    await made.claim()
    return made


def steps(count, step):
    """As many changes: records at a step, and as the last one how far facts are relayed."""
    records = [PutRecord(Record(journey(contact, step=step))) for contact in CONTACTS[: count - 1]]
    return [*records, PutRelayPosition(len(step))]


async def stored(store, count):
    found = await store.records([("shop_cart", contact, "i1") for contact in CONTACTS[: count - 1]])
    return {record.journey.step for record in found.values()}


async def last_epoch(connection, names):
    subject = names.state_subjects(0).epoch
    stored = await connection.direct_get(names.state(0), {"last_by_subj": subject})
    return int(stored.headers["Nats-Sequence"])


@pytest.mark.parametrize("count", [1, 8, 9, 20])
async def test_a_write_that_comes_after_its_owner_went_on_is_not_stored(
    connection, other, names, owner, count
):
    with holding(connection) as held:
        committing = asyncio.create_task(owner.commit(steps(count, "first")))
        await held.some.wait()
    await committing
    await owner.commit(steps(count, "second"))

    await held.pass_on(other, names)

    assert await stored(owner, count) <= {"second"}
    assert await owner.relay_position() == len("second")
    await owner.commit(steps(count, "third"))
    assert await owner.relay_position() == len("third")


@pytest.mark.parametrize("count", [8, 9, 20])
@pytest.mark.parametrize("after", [1, 5])
async def test_the_rest_of_a_group_that_comes_after_its_owner_went_on_is_not_stored(
    connection, other, names, owner, count, after
):
    with holding(connection, after=after) as held:
        committing = asyncio.create_task(owner.commit(steps(count, "first")))
        await held.some.wait()
    await committing
    assert await stored(owner, count) == {"first"}
    await owner.commit(steps(count, "second"))

    await held.pass_on(other, names)

    assert await stored(owner, count) == {"second"}
    assert await owner.relay_position() == len("second")


async def test_an_owner_whose_writes_are_answered_keeps_its_epoch(connection, names, owner):
    before = await last_epoch(connection, names)

    for count in (1, 8, 20):
        await owner.commit(steps(count, "first"))

    assert await last_epoch(connection, names) == before


async def test_after_a_reconnect_a_new_epoch_comes_before_anything_else(connection, names, owner):
    before = await last_epoch(connection, names)
    reconnected = asyncio.create_task(connection.reconnected())
    await asyncio.sleep(0)
    connection.wire.cut()
    await reconnected

    written = await owner.commit(steps(1, "first"))

    assert before < await last_epoch(connection, names) < written
    assert await owner.commit(steps(1, "second")) == written + 1


async def test_an_epoch_that_comes_late_changes_nothing(connection, other, names, owner):
    with holding(connection) as commit:
        committing = asyncio.create_task(owner.commit(steps(1, "first")))
        await commit.some.wait()
        commit.frames.clear()
        commit.some.clear()
        await commit.some.wait()
    await committing
    epoch = await last_epoch(connection, names)
    assert any(names.state_subjects(0).epoch.encode() in frame for frame in commit.frames)

    await commit.pass_on(other, names)

    assert await last_epoch(connection, names) == epoch
    await owner.commit(steps(1, "second"))


class Mute:
    """Epochs are stored, and the first so many answers are lost; `meanwhile` is done after each."""

    def __init__(self, monkeypatch, lost, meanwhile):
        self._publish, self._lost, self._meanwhile = epochs.publish_all, lost, meanwhile
        self.refused = 0
        monkeypatch.setattr(epochs, "publish_all", self.publish)

    async def publish(self, *arguments):
        if self._lost:
            self._lost -= 1
            await self._publish(*arguments)
            await self._meanwhile()
            raise Unavailable("no answer")
        try:
            return await self._publish(*arguments)
        except Exception:
            self.refused += 1
            raise


async def test_an_epoch_whose_answer_is_lost_is_known_again(connection, names, owner, monkeypatch):
    mute = Mute(monkeypatch, 1, owner.now)
    owner._epoch.doubt()

    written = await owner.commit(steps(1, "first"))

    assert mute.refused == 1
    assert await last_epoch(connection, names) == written - 1


async def test_somebody_elses_epoch_is_not_taken_for_ones_own(connection, other, names, owner, monkeypatch):
    async def claimed():
        monkeypatch.undo()
        await JetStreamStateStore(other, names, 0).claim()

    Mute(monkeypatch, 1, claimed)
    owner._epoch.doubt()

    with pytest.raises(EpochLost):
        await owner.commit(steps(1, "first"))


async def test_a_stale_owner_takes_no_new_epoch(connection, other, names, owner):
    await JetStreamStateStore(other, names, 0).claim()
    epoch = await last_epoch(connection, names)
    owner._epoch.doubt()

    with pytest.raises(EpochLost):
        await owner.commit([PutContact(Contact("c1"))])

    assert await last_epoch(connection, names) == epoch


@pytest.mark.parametrize("clean", [True, False])
async def test_an_owner_with_a_new_epoch_is_still_the_one_that_ended_so(other, names, owner, clean):
    await owner.commit([PutInHand(InHand(clean=clean))])
    owner._epoch.doubt()
    await owner.commit([PutContact(Contact("c1"))])
    following = JetStreamStateStore(other, names, 0)
    await following.claim()

    assert await following.in_hand() == InHand(clean=clean)

    third = JetStreamStateStore(other, names, 0)
    await third.claim()
    assert await third.in_hand() == InHand()


async def test_whoever_has_a_new_epoch_goes_on_as_before(owner):
    await owner.commit(steps(3, "first"))
    owner._epoch.doubt()
    await owner.commit(steps(3, "second"))

    assert await owner.now()
    assert [head.step async for head in owner.scan()] == ["second", "second"]
