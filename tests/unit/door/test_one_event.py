"""`POST /events` with one event: what the sender is told, and when."""

import asyncio
import json

import pytest

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import EpochLost, InvalidEvent, Overloaded, Unavailable

STRUCTURED = {"content-type": "application/cloudevents+json"}
ENVELOPE = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "t"}


async def test_an_event_is_handed_in_as_it_came_and_accepted(client, ingest, event_headers):
    reply = await client.post(b'{"total": 1.0}', event_headers | {"content-type": "application/json"})
    assert (reply.status, reply.body) == (202, b"")
    assert ingest.accepted == [
        CloudEvent(
            id="1",
            source="/shop",
            type="com.example.cart.updated",
            datacontenttype="application/json",
            data=b'{"total": 1.0}',
        )
    ]


async def test_the_answer_waits_until_the_event_is_on_disk(client, ingest):
    entered, on_disk = asyncio.Event(), asyncio.Event()

    async def before():
        entered.set()
        await on_disk.wait()

    ingest.before = before
    request = asyncio.create_task(client.post())
    await entered.wait()
    assert not request.done()
    on_disk.set()
    assert (await request).status == 202


class ContractBroken(InvalidEvent):
    reason = "ContractBroken"


@pytest.mark.parametrize(
    ("fault", "status", "reason", "retry_after"),
    [
        (ContractBroken("data.total: expected a number"), 400, "ContractBroken", None),
        (Overloaded("too many events wait", retry_after=3), 429, "Overloaded", "3"),
        (Unavailable("the log is full", retry_after=30), 503, "Unavailable", "30"),
    ],
)
async def test_what_the_log_says_reaches_the_sender(client, ingest, fault, status, reason, retry_after):
    ingest.faults["1"] = fault
    reply = await client.post()
    assert reply.status == status
    assert reply.json == {"reason": reason, "message": str(fault)}
    assert reply.headers.get("retry-after") == retry_after


@pytest.mark.parametrize("fault", [RuntimeError("ana@example.com"), EpochLost("shard 0")])
async def test_a_fault_of_the_receiver_tells_nothing(client, ingest, fault):
    ingest.faults["1"] = fault
    reply = await client.post()
    assert (reply.status, reply.json["reason"]) == (500, "InternalError")
    assert str(fault) not in reply.body.decode()


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        ({"ce-id": ""}, b"", 400, "InvalidAttribute"),
        ({"ce-type": None}, b"", 400, "MissingAttribute"),
        ({"ce-subject": "%C0%A0"}, b"", 400, "InvalidAttribute"),
        ({"ce-specversion": "0.3"}, b"", 400, "UnknownSpecVersion"),
        ({"content-type": "application/json"}, b"[" * 10_000 + b"]" * 10_000, 400, "TooDeep"),
        ({"content-type": "application/json"}, b"{", 400, "MalformedJson"),
        ({"content-type": "application/cloudevents+xml"}, b"<event/>", 415, "UnsupportedMediaType"),
    ],
)
async def test_bad_events_in_binary_mode(client, ingest, event_headers, headers, body, status, reason):
    merged = {name: value for name, value in (event_headers | headers).items() if value is not None}
    reply = await client.post(body, merged)
    assert (reply.status, reply.json["reason"]) == (status, reason)
    assert ingest.accepted == []


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"data": 1, "data_base64": "MQ=="}, "DataConflict"),
        ({"specversion": "2.0"}, "UnknownSpecVersion"),
        ({"time": "yesterday"}, "InvalidAttribute"),
        ({"myExt": "x"}, "InvalidAttribute"),
        ({"id": None}, "MissingAttribute"),
    ],
)
async def test_bad_events_in_structured_mode(client, ingest, members, reason):
    reply = await client.post(json.dumps(ENVELOPE | members).encode(), STRUCTURED)
    assert (reply.status, reply.json["reason"]) == (400, reason)
    assert ingest.accepted == []


async def test_what_is_no_cloudevent_at_all_is_an_unsupported_media_type(client):
    reply = await client.post(b"{}", {"content-type": "application/json"})
    assert (reply.status, reply.json["reason"]) == (415, "UnsupportedMediaType")
    assert "application/cloudevents+json" in reply.json["message"]
