"""What a server would not take is not sent, since nats-server answers it by closing the connection. Here with
the server's own default of 1 MiB.
"""

import asyncio

import pytest
from tests.contract.state_store.test_state_store import journey
from tests.integration.jetstream.conftest import connected, running_server

from emailflow_runtime.adapters import nats_server
from emailflow_runtime.adapters.jetstream.batch import Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import JetStreamError
from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import DeadLetter, LogEntry, PutContact, PutRecord
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Record
from emailflow_runtime.errors import MessageTooLarge

MIB = 1 << 20


@pytest.fixture
async def small(tmp_path, monkeypatch):
    monkeypatch.setattr(nats_server, "CONFIG", nats_server.CONFIG.replace("8MB", "1MB"))
    async with running_server(tmp_path) as server, connected(server, "test", provision=True) as made:
        yield made


def event(size, number=1):
    return CloudEvent(id=str(number), source="/s", type="com.example.seen", data=b"x" * size)


@pytest.mark.parametrize("count", [1, 3, 20])
async def test_a_message_that_the_server_would_not_take_is_not_sent(small, names, count):
    subject = names.event_subject(0, "com.example.seen")
    messages = [Message(subject, b"small", {})] * (count - 1) + [Message(subject, b"x" * MIB, {"a": "b"})]

    with pytest.raises(MessageTooLarge):
        await publish_all(small, messages)

    assert small.connected
    assert await JetStreamEventLog(small, names).last_sequence(0) == 0
    assert await publish_all(small, [Message(subject, b"x" * (MIB - 2_000), {"a": "b"})]) == 1


async def test_a_commit_that_can_never_be_made_ends_its_owner_at_once(small, names):
    store = JetStreamStateStore(small, names, 0)
    await store.claim()
    async with asyncio.timeout(5):
        with pytest.raises(MessageTooLarge):
            await store.commit(
                [PutRecord(Record(journey("c1", event=event(MIB)))), PutContact(Contact("c2"))]
            )
    assert small.connected
    assert await store.contacts(["c2"]) == {}


async def test_a_commit_that_jetstream_refuses_for_good_is_not_tried_for_ever(small, names, monkeypatch):
    store = JetStreamStateStore(small, names, 0)
    await store.claim()
    await small.api(f"STREAM.UPDATE.{names.state(0)}", await limited(small, names.state(0), 1_000))
    async with asyncio.timeout(5):
        with pytest.raises(JetStreamError) as refused:
            await store.commit([PutRecord(Record(journey("c1", event=event(2_000))))])
    assert refused.value.for_good


async def limited(connection, stream, size):
    info = await connection.api(f"STREAM.INFO.{stream}")
    return {**info["config"], "max_msg_size": size}


async def test_many_large_events_are_stored_in_several_batches(small, names):
    log = JetStreamEventLog(small, names)
    await log.append([LogEntry(event(900_000, number), "c", 0) for number in range(40)])
    assert await log.last_sequence(0) == 40


async def test_a_dead_letter_has_room_for_its_reason_however_large_its_event(small, names):
    stored = event(MIB - 1_000)
    await JetStreamEventLog(small, names).append([LogEntry(stored, "", 0)])
    letter = DeadLetter("PoisonInput", "m" * 1_000, "shop_cart", stored, "c1", 1)

    async with asyncio.timeout(5):
        await DeadLetterStream(small, names).keep(letter)

    reader = DeadLetterReader(small, names)
    (found,) = [each async for each in reader.letters()]
    assert (found.reason, found.log_sequence, found.event) == ("PoisonInput", 1, stored)
    assert await reader.letter(found.sequence) == found


async def test_a_letter_that_its_stream_refuses_is_kept_without_its_event(small, names):
    await small.api(f"STREAM.UPDATE.{names.dead_letters}", await limited(small, names.dead_letters, 1_000))
    stored = event(2_000)
    await JetStreamEventLog(small, names).append([LogEntry(stored, "", 0)])

    async with asyncio.timeout(5):
        await DeadLetterStream(small, names).keep(DeadLetter("PoisonInput", "", "shop_cart", stored, "c1", 1))
        await DeadLetterStream(small, names).keep(DeadLetter("PoisonInput", "m" * 990, "f", stored, "c1", 1))

    (found,) = [each async for each in DeadLetterReader(small, names).letters()]
    assert (found.origin, found.event) == ("shop_cart", stored)
