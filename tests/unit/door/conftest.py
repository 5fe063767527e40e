"""The door without a network: a fake Ingest behind it, raw ASGI messages in front of it."""

import asyncio
import json
from collections.abc import Callable
from typing import NamedTuple

import pytest

from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor

EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "com.example.cart.updated"}


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)


class FakeIngest:
    """Keeps what it accepts; `faults` has errors to raise, by the id of the event."""

    def __init__(self):
        self.accepted = []
        self.faults = {}
        self.before: Callable = lambda: asyncio.sleep(0)

    async def accept(self, event):
        await self.before()
        if (fault := self.faults.get(event.id)) is not None:
            raise fault
        self.accepted.append(event)


class Client:
    """Sends requests to an ASGI app; `chunks` are the parts of the body, None hangs up."""

    def __init__(self, app):
        self.app = app

    async def post(self, body=b"", headers=EVENT, **kwargs):
        return await self.request("POST", headers=headers, chunks=[body], **kwargs)

    async def request(self, method, path="/events", *, headers=None, query=b"", chunks=(b"",), receive=None):
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()],
        }
        messages = [
            {"type": "http.disconnect"}
            if chunk is None
            else {"type": "http.request", "body": chunk, "more_body": n < len(chunks)}
            for n, chunk in enumerate(chunks, start=1)
        ]

        async def next_message():
            return messages.pop(0)

        sent = []

        async def send(message):
            sent.append(message)

        await self.app(scope, receive or next_message, send)
        if not sent:
            return None
        start, end = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        assert headers["content-length"] == str(len(end["body"]))
        return Reply(start["status"], headers, end["body"])


@pytest.fixture
def ingest():
    return FakeIngest()


@pytest.fixture
def client(ingest):
    return Client(HttpDoor(ingest, tokens=Anonymous()))


@pytest.fixture
def client_of():
    """For doors that are set up in another way."""
    return Client


@pytest.fixture
def event_headers():
    return dict(EVENT)
