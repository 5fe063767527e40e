"""`POST /events` with a batch: an answer for each item."""

import asyncio
import json

import pytest

from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor, Limits
from emailflow_runtime.errors import Overloaded, Unavailable

BATCH = {"content-type": "application/cloudevents-batch+json"}


def items(*ids, **broken):
    event = {"specversion": "1.0", "source": "/shop", "type": "t"}
    return json.dumps([event | {"id": i} for i in ids] + [{"id": i} for i in broken]).encode()


async def test_a_batch_that_is_accepted_whole(client, ingest):
    reply = await client.post(items("a", "b"), BATCH)
    assert (reply.status, reply.body) == (202, b"")
    assert sorted(event.id for event in ingest.accepted) == ["a", "b"]


async def test_an_empty_batch_is_accepted(client):
    assert (await client.post(b"[]", BATCH)).status == 202


async def test_half_a_batch_is_bad(client, ingest):
    ingest.faults["b"] = Unavailable("the log is full", retry_after=7)
    reply = await client.post(items("a", "b", c=1), BATCH)
    assert reply.status == 207
    assert reply.headers["retry-after"] == "7"
    assert reply.json == [
        {"index": 0, "id": "a", "status": 202},
        {"index": 1, "id": "b", "status": 503, "reason": "Unavailable", "message": "the log is full"},
        {
            "index": 2,
            "id": "c",
            "status": 400,
            "reason": "MissingAttribute",
            "message": "specversion: expected a non-empty string, got nothing",
        },
    ]
    assert [event.id for event in ingest.accepted] == ["a"]


async def test_nothing_of_a_batch_is_an_event(client, ingest):
    reply = await client.post(items(a=1, b=1), BATCH)
    assert reply.status == 400
    assert [item["status"] for item in reply.json] == [400, 400]


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ([Unavailable("no"), Unavailable("no")], 503),
        ([Overloaded("no"), Overloaded("no")], 429),
        ([Overloaded("no"), Unavailable("no")], 503),
        ([RuntimeError("no"), RuntimeError("no")], 500),
        ([RuntimeError("no"), Unavailable("no")], 207),
    ],
)
async def test_nothing_of_a_batch_could_be_taken(client, ingest, faults, status):
    ingest.faults = dict(zip("ab", faults, strict=True))
    reply = await client.post(items("a", "b"), BATCH)
    assert reply.status == status
    assert ("retry-after" in reply.headers) == any(isinstance(fault, Unavailable) for fault in faults)


async def test_what_is_worth_repeating_is_never_lost_in_a_400(client, ingest):
    ingest.faults["a"] = Unavailable("no")
    assert (await client.post(items("a", b=1), BATCH)).status == 207


async def test_the_items_share_one_commit(client, ingest):
    together = asyncio.Barrier(3)
    ingest.before = together.wait
    async with asyncio.timeout(10):
        reply = await client.post(items("a", "b", "c"), BATCH)
    assert reply.status == 202


@pytest.mark.parametrize("body", [b"{}", b"[", b"", b"[" * 10_000])
async def test_what_is_no_batch_is_refused_as_a_whole(client, body):
    reply = await client.post(body, BATCH)
    assert reply.status == 400
    assert reply.json["reason"] in ("MalformedJson", "TooDeep")


async def test_a_batch_is_limited_in_items(client_of, ingest):
    client = client_of(HttpDoor(ingest, tokens=Anonymous(), limits=Limits(max_batch_items=2)))
    reply = await client.post(items("a", "b", "c"), BATCH)
    assert (reply.status, reply.json["reason"]) == (413, "TooLarge")
    assert ingest.accepted == []
