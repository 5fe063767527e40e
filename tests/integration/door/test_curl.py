"""The door and curl: every mode, and everything that goes wrong."""

import json

import pytest

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import Overloaded, Unavailable

EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.example.cart.updated"}
BINARY = [
    argument
    for name, value in EVENT.items()
    for argument in ("-H", f"ce-{name}: {value}")
]  # fmt: skip
STRUCTURED = ["-H", "content-type: application/cloudevents+json; charset=utf-8"]
BATCHED = ["-H", "content-type: application/cloudevents-batch+json"]
JSON = ["-H", "content-type: application/json"]


@pytest.fixture
def post(door, curl):
    async def run(*arguments, body=b""):
        return await curl(*arguments, "--data-binary", "@-", f"{door.url}/events", stdin=body)

    return run


async def test_binary_mode(door, post):
    reply = await post(*BINARY, "-H", "CE-Subject: Gr%C3%B6%c3%9fe", *JSON, body=b'{"total": 1.0}\n')
    assert (reply.status, reply.body) == (202, "")
    assert door.log.events == [
        CloudEvent(**EVENT, subject="Größe", datacontenttype="application/json", data=b'{"total": 1.0}\n')
    ]


async def test_structured_mode(door, post):
    reply = await post(*STRUCTURED, body=json.dumps(EVENT | {"data": {"total": 1}, "n": 5}).encode())
    assert reply.status == 202
    assert door.log.events == [CloudEvent(**EVENT, extensions={"n": 5}, data=b'{"total": 1}')]


async def test_batched_mode(door, post):
    reply = await post(*BATCHED, body=json.dumps([EVENT, EVENT | {"id": "2"}]).encode())
    assert reply.status == 202
    assert sorted(event.id for event in door.log.events) == ["1", "2"]


async def test_half_a_batch_is_bad(door, post):
    reply = await post(*BATCHED, body=json.dumps([EVENT, EVENT | {"id": "2", "time": "now"}]).encode())
    assert reply.status == 207
    assert [(item["index"], item["id"], item["status"]) for item in reply.json] == [
        (0, "1", 202),
        (1, "2", 400),
    ]
    assert reply.json[1]["reason"] == "InvalidAttribute"
    assert [event.id for event in door.log.events] == ["1"]


@pytest.mark.parametrize(
    ("arguments", "body", "status", "reason"),
    [
        ([*BINARY, "-H", "ce-time: yesterday"], b"", 400, "InvalidAttribute"),
        ([*BINARY, "-H", "ce-my_ext: x"], b"", 400, "InvalidAttribute"),
        ([*BINARY, "-H", "ce-subject: %C0%A0"], b"", 400, "InvalidAttribute"),
        ([*BINARY, "-H", "ce-subject: \xff"], b"", 400, "InvalidAttribute"),
        ([*BINARY, "-H", "ce-id: 2"], b"", 400, "RepeatedAttribute"),
        ([*BINARY[2:], "-H", "ce-specversion: 0.3"], b"", 400, "UnknownSpecVersion"),
        (BINARY[:-2], b"", 400, "MissingAttribute"),
        ([*BINARY, *JSON], b"[" * 10_000 + b"]" * 10_000, 400, "TooDeep"),
        (STRUCTURED, b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "TooDeep"),
        (STRUCTURED, json.dumps(EVENT | {"data": 1, "data_base64": "MQ=="}).encode(), 400, "DataConflict"),
        (STRUCTURED, b"{", 400, "MalformedJson"),
        (BATCHED, b"[" * 10_000, 400, "TooDeep"),
        (JSON, json.dumps(EVENT).encode(), 415, "UnsupportedMediaType"),
        (["-H", "content-type: application/cloudevents+xml"], b"<event/>", 415, "UnsupportedMediaType"),
        ([*BINARY, "-H", "content-encoding: gzip"], b"\x1f\x8b", 415, "UnsupportedContentEncoding"),
    ],
)
async def test_bad_requests(door, post, arguments, body, status, reason):
    reply = await post(*arguments, body=body)
    assert (reply.status, reply.json["reason"]) == (status, reason)
    assert reply.json["message"]
    assert door.log.events == []


@pytest.mark.parametrize(
    ("length", "waits"),
    [([], True), (["-H", "expect:"], False), (["-H", "transfer-encoding: chunked", "-H", "expect:"], False)],
    ids=["waits for 100 Continue", "Content-Length", "chunked"],
)
async def test_ten_megabytes(door, post, length, waits):
    reply = await post(*BINARY, *length, "-w", "\n%{size_upload}", body=b"x" * 10_000_000)
    body, _, uploaded = reply.body.rpartition("\n")
    assert (reply.status, json.loads(body)["reason"]) == (413, "TooLarge")
    assert (uploaded == "0") == waits
    assert (await post(*BINARY)).status == 202


async def test_other_methods_and_paths(door, curl):
    wrong = await curl(f"{door.url}/events")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST, OPTIONS")
    assert (await curl("-d", "x", f"{door.url}/elsewhere")).status == 404


@pytest.mark.parametrize(
    ("fault", "status"), [(Overloaded("busy", retry_after=2), 429), (Unavailable("full"), 503)]
)
async def test_not_now(door, post, fault, status):
    door.log.fault = fault
    reply = await post(*BINARY)
    assert (reply.status, reply.headers["retry-after"]) == (status, str(fault.retry_after))


async def test_the_handshake(door, curl):
    reply = await curl("-X", "OPTIONS", "-H", "WebHook-Request-Origin: example.com", f"{door.url}/events")
    assert reply.status == 200
    assert reply.headers["webhook-allowed-origin"] == "example.com"


async def test_tokens(guarded_door, curl, token):
    url = f"{guarded_door.url}/events"
    assert (await curl(*BINARY, "-d", "", url)).status == 401
    assert (await curl(*BINARY, "-d", "", "-H", "authorization: Bearer wrong", url)).status == 401
    assert (await curl(*BINARY, "-d", "", "-H", f"authorization: Bearer {token}", url)).status == 202
    assert (await curl(*BINARY, "-d", "", f"{url}?access_token={token}")).status == 400
    assert len(guarded_door.log.events) == 1
