"""What becomes of what producers publish: in the log, a dead letter, or again later. Never lost."""

import asyncio
import json

import pytest

from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.errors import InvalidEvent, Overloaded, Unavailable

from .conftest import HEADERS, KIND, NAMES, WITHIN, drained, letters

STRUCTURED = {"specversion": "1.0", "id": "1", "source": "/shop", "type": KIND, "data": {"name": "Ana"}}
JSON = {"Content-Type": "application/cloudevents+json"}
MODES = {
    "binary": ({**HEADERS, "ce-datacontenttype": "application/json"}, b'{"name":"Ana"}'),
    "structured": (JSON, json.dumps(STRUCTURED).encode()),
    "structured by the prefix alone": (
        {"Content-Type": "application/cloudevents"},
        json.dumps(STRUCTURED).encode(),
    ),
    "structured without headers": (None, json.dumps(STRUCTURED).encode()),
}


@pytest.mark.parametrize("mode", MODES)
async def test_an_event_is_handed_in_as_it_was_sent(producer, open_door, ingest, connection, mode):
    headers, data = MODES[mode]
    open_door(ingest)

    assert (await producer.publish(data, headers))["stream"] == NAMES.inbound

    assert await ingest.have(1) == ["1"]
    assert ingest.accepted[0].value == {"name": "Ana"}
    await drained(connection)
    assert await letters(connection) == []


async def test_what_was_published_while_no_door_was_open_comes_in_order(producer, open_door, ingest):
    names = [str(number) for number in range(700)]
    for name in names:
        await producer.event(name)
    open_door(ingest)

    assert await ingest.have(700) == names


async def test_two_doors_share_the_work_and_nothing_comes_twice(producer, open_door, ingest, connection):
    open_door(ingest)
    open_door(ingest)
    for number in range(300):
        await producer.event(str(number))

    assert sorted(await ingest.have(300), key=int) == [str(number) for number in range(300)]
    await drained(connection)
    assert len(ingest.accepted) == 300


BROKEN = {
    "MalformedJson": (KIND, JSON, b"{no json"),
    "MissingAttribute": (KIND, {"ce-specversion": "1.0", "ce-id": "1", "ce-type": KIND}, b""),
    "UnsupportedMediaType": (KIND, {"Content-Type": "text/plain"}, b"hello"),
    "TypeMismatch": ("com.example.other", HEADERS, b""),
    "TooLarge": (KIND, HEADERS, b"x" * 100_001),
}


@pytest.mark.parametrize("reason", BROKEN)
async def test_what_is_no_event_is_a_dead_letter_whole(producer, open_door, ingest, connection, reason):
    kind, headers, data = BROKEN[reason]
    open_door(ingest)
    await producer.publish(data, {**headers, "Nats-Msg-Id": "n1", "X-Trace": "t1"}, kind)

    await drained(connection)

    (letter,) = await letters(connection)
    found = letter.headers
    assert found["Nats-Subject"] == f"{NAMES.subject_prefix}.deadletter.{reason}._receiver"
    assert (found["EmailFlow-Reason"], found["EmailFlow-Origin"]) == (reason, "_receiver")
    assert found["EmailFlow-Subject"] == NAMES.inbound_subject(kind)
    assert found["EmailFlow-Message"]
    assert {name: found[name] for name in headers} == headers
    # What means something to NATS is kept under another name, and does nothing.
    assert (found["EmailFlow-Was-Nats-Msg-Id"], found["X-Trace"]) == ("n1", "t1")
    assert letter.data == data
    assert ingest.accepted == []


async def test_an_event_that_breaks_its_contract_is_a_dead_letter_that_can_be_read(
    producer, open_door, ingest, connection
):
    broken = InvalidEvent("data.name breaks schema/required")
    broken.reason = "ContractBroken"
    ingest.faults = {"1": [broken]}
    open_door(ingest)
    await producer.publish(json.dumps(STRUCTURED).encode(), JSON)

    await drained(connection)

    (letter,) = await letters(connection)
    assert letter.headers["EmailFlow-Reason"] == "ContractBroken"
    assert nats.decode(letter.headers, letter.data).value == {"name": "Ana"}


async def test_a_producer_is_told_where_it_asked_to_be(producer, open_door, ingest, connection):
    told = await producer.client.subscribe("emailflow.mail.default.refused.p1")
    open_door(ingest)
    await producer.publish(b"", {**HEADERS, "EmailFlow-Reply": "p1"}, "com.example.other")

    said = json.loads((await told.next_msg(WITHIN)).data)

    expected = {"reason": "TypeMismatch", "message": "type: expected the type that the subject names"}
    assert said == {**expected, "id": "1", "source": "/shop"}


@pytest.mark.parametrize("token", ["a.b", "*", ">", "", "a b", "x" * 65, "ä"])
async def test_the_door_publishes_nowhere_but_where_producers_listen(
    producer, open_door, ingest, connection, token
):
    told = await producer.client.subscribe("emailflow.mail.default.refused.>")
    open_door(ingest)
    await producer.publish(b"", {**HEADERS, "EmailFlow-Reply": token}, "com.example.other")
    await producer.publish(b"", {**HEADERS, "EmailFlow-Reply": "last"}, "com.example.other")

    assert (await told.next_msg(WITHIN)).subject == "emailflow.mail.default.refused.last"


@pytest.mark.parametrize("fault", [Overloaded("later"), Unavailable("the log is full", retry_after=1)])
async def test_what_can_not_be_taken_now_comes_again(producer, open_door, ingest, connection, fault):
    ingest.faults = {"1": [fault, fault]}
    open_door(ingest)
    await producer.event("1")

    assert await ingest.have(1) == ["1"]
    await drained(connection)
    assert await letters(connection) == []


async def test_what_nobody_foresaw_is_tried_again_and_kept_in_the_end(
    producer, open_door, ingest, connection, monkeypatch
):
    monkeypatch.setattr("emailflow_runtime.adapters.nats_door.door.RETRY_AFTER", 0.01)
    ingest.faults = {"1": [RuntimeError("bug")] * 100}
    open_door(ingest)
    await producer.event("1")
    await producer.event("2")

    assert await ingest.have(1) == ["2"]
    await drained(connection)
    (letter,) = await letters(connection)
    assert letter.headers["EmailFlow-Reason"] == "PoisonInput"
    assert len(ingest.faults["1"]) == 95


async def test_a_door_that_closes_leaves_what_it_has_not_begun_to_others(
    producer, open_door, ingest, connection
):
    first = open_door(ingest)
    await producer.event("0")
    await ingest.have(1)
    await first.stop(1)
    for number in range(1, 50):
        await producer.event(str(number))

    open_door(ingest)

    assert await ingest.have(50) == [str(number) for number in range(50)]


async def test_a_door_that_closes_settles_what_it_has_begun(producer, open_door, ingest, connection):
    begun, go_on = asyncio.Event(), asyncio.Event()
    accept = ingest.accept

    async def slowly(event):
        begun.set()
        await go_on.wait()
        await accept(event)

    ingest.accept = slowly
    door = open_door(ingest)
    await producer.event("1")
    async with asyncio.timeout(WITHIN):
        await begun.wait()
        stopping = asyncio.create_task(door.stop(WITHIN))
        while door.open:  # noqa: ASYNC110 - it tells what is, not when
            await asyncio.sleep(0)
        go_on.set()
        await stopping
    await drained(connection)

    assert await ingest.have(1) == ["1"]


async def test_nothing_is_lost_when_nats_server_restarts(producer, open_door, ingest, connection, server):
    open_door(ingest)
    for number in range(20):
        await producer.event(str(number))
    back = asyncio.create_task(connection.reconnected())
    await server.restart()
    async with asyncio.timeout(WITHIN):
        await back
        while not producer.client.is_connected:  # noqa: ASYNC110 - the client tells of it by a flag
            await asyncio.sleep(0.02)
    for number in range(20, 40):
        await producer.event(str(number))

    async with asyncio.timeout(WITHIN):
        while len({each.id for each in ingest.accepted}) < 40:
            await ingest.have(len(ingest.accepted) + 1)


async def test_too_much_for_in_is_refused_to_the_producers_face(producer, connection):
    said = await producer.publish(b"x" * (262_144 + 64 * 1024 + 1), HEADERS)

    assert said["error"]["err_code"] == 10054


async def test_the_log_has_nothing_that_no_door_accepted(producer, connection):
    """IN is a queue before the log, not the log: nobody is told `in EVENTS` by JetStream's answer."""
    await producer.event("1")

    assert await JetStreamEventLog(connection, NAMES).last_sequence(0) == 0
