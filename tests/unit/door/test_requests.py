"""Everything about a request but the event in it: paths, methods, bodies, load, the handshake."""

import asyncio

import pytest

from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor, Limits


async def test_other_paths_belong_to_the_fallback(client_of, ingest):
    seen = []

    async def fallback(scope, receive, send):
        seen.append((scope["type"], scope.get("path")))

    client = client_of(HttpDoor(ingest, tokens=Anonymous(), fallback=fallback))
    assert await client.request("GET", "/healthz") is None
    await client.app({"type": "lifespan"}, None, None)
    assert seen == [("http", "/healthz"), ("lifespan", None)]


async def test_without_a_fallback_there_is_nothing_else(client):
    reply = await client.request("POST", "/events/")
    assert (reply.status, reply.json["reason"]) == (404, "NotFound")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_told_which_ones_there_are(client, method):
    reply = await client.request(method)
    assert (reply.status, reply.json["reason"]) == (405, "MethodNotAllowed")
    assert reply.headers["allow"] == "POST, OPTIONS"


async def test_a_body_may_come_in_parts(client, ingest, event_headers):
    await client.request("POST", headers=event_headers, chunks=[b"a", b"", b"bc"])
    assert [event.data for event in ingest.accepted] == [b"abc"]


@pytest.mark.parametrize("length", ["1048577", "10000000", "9" * 5000])
async def test_a_body_that_is_announced_too_large_is_refused_unread(client, event_headers, length):
    async def receive():
        raise AssertionError("the body was read")

    headers = event_headers | {"content-length": length}
    reply = await client.request("POST", headers=headers, receive=receive)
    assert (reply.status, reply.json["reason"]) == (413, "TooLarge")


async def test_a_body_that_turns_out_too_large_is_refused_at_once(client_of, ingest, event_headers):
    client = client_of(HttpDoor(ingest, tokens=Anonymous(), limits=Limits(max_body_bytes=10)))
    whole = await client.request("POST", headers=event_headers, chunks=[b"x" * 5, b"x" * 5])
    assert whole.status == 202
    chunks = [b"x" * 5, b"x" * 6, None]
    reply = await client.request("POST", headers=event_headers, chunks=chunks)
    assert (reply.status, reply.json["reason"]) == (413, "TooLarge")
    assert len(ingest.accepted) == 1


async def test_a_body_has_to_arrive_in_time(client_of, ingest, event_headers):
    client = client_of(HttpDoor(ingest, tokens=Anonymous(), limits=Limits(body_seconds=0)))
    reply = await client.request("POST", headers=event_headers, receive=asyncio.Event().wait)
    assert (reply.status, reply.json["reason"]) == (408, "BodyTimeout")
    assert reply.headers["connection"] == "close"


async def test_who_hangs_up_gets_no_answer_and_no_event(client, ingest, event_headers):
    assert await client.request("POST", headers=event_headers, chunks=[b"half", None]) is None
    assert ingest.accepted == []


@pytest.mark.parametrize(("encoding", "status"), [("identity", 202), ("gzip", 415), ("gzip, identity", 415)])
async def test_compressed_bodies_are_refused(client, event_headers, encoding, status):
    reply = await client.post(b"x", event_headers | {"content-encoding": encoding})
    assert reply.status == status
    if status == 415:
        assert reply.json["reason"] == "UnsupportedContentEncoding"


async def test_requests_in_flight_are_limited(client_of, ingest):
    client = client_of(HttpDoor(ingest, tokens=Anonymous(), limits=Limits(max_requests=1)))
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def before():
        entered.set()
        await go_on.wait()

    ingest.before = before
    first = asyncio.create_task(client.post())
    await entered.wait()
    second = await client.post()
    assert (second.status, second.json["reason"]) == (429, "Overloaded")
    assert second.headers["retry-after"] == "1"
    go_on.set()
    assert (await first).status == 202
    assert (await client.post()).status == 202


async def test_bytes_in_flight_are_limited(client_of, ingest, event_headers):
    client = client_of(HttpDoor(ingest, tokens=Anonymous(), limits=Limits(max_bytes=10)))
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def before():
        entered.set()
        await go_on.wait()

    ingest.before = before
    first = asyncio.create_task(client.post(b"x" * 6))
    await entered.wait()
    second = await client.request("POST", headers=event_headers, chunks=[b"x" * 4, b"x"])
    assert (second.status, second.json["reason"]) == (429, "Overloaded")
    go_on.set()
    assert (await first).status == 202
    assert (await client.post(b"x" * 10)).status == 202


async def test_a_refused_request_makes_room_again(client_of, ingest):
    client = client_of(HttpDoor(ingest, tokens=Anonymous(), limits=Limits(max_requests=1)))
    assert (await client.post(b"x", {"content-type": "text/plain"})).status == 415
    assert (await client.post()).status == 202


async def test_the_handshake_permits_who_asks(client):
    headers = {"WebHook-Request-Origin": "eventemitter.example.com", "WebHook-Request-Rate": "120"}
    reply = await client.request("OPTIONS", headers=headers)
    assert reply.status == 200
    assert reply.headers["webhook-allowed-origin"] == "eventemitter.example.com"
    assert reply.headers["webhook-allowed-rate"] == "*"
    assert reply.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("headers", [{}, {"webhook-request-origin": "<script>"}])
async def test_without_an_origin_there_is_no_permission(client, headers):
    reply = await client.request("OPTIONS", headers=headers)
    assert reply.headers == {"allow": "POST, OPTIONS", "content-length": "0"}
