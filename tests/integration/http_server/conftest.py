"""The HTTP server on a free loopback port, and clients that speak bytes."""

import asyncio
import contextlib

import pytest

from emailflow_runtime.adapters.http_server import HttpServer, ServerLimits

WITHIN = 30


class App:
    """Answers each request once its body is there; keeps what it was asked for."""

    def __init__(self):
        self.asked = []
        self.arrivals = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer = b"ok"
        self.reads = True

    async def __call__(self, scope, receive, send):
        body = b""
        while self.reads:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.asked.append((scope["path"], body, scope["headers"]))
        self.arrivals.put_nowait(None)
        await self.gate.wait()
        length = (b"content-length", b"%d" % len(self.answer))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": self.answer})


class Client:
    """One connection."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.sent = 0

    async def send(self, data):
        """Send, and wait until the kernel has it. Raises ConnectionError."""
        self.writer.write(data)
        await self.writer.drain()
        self.sent += len(data)

    async def flood(self, chunk, most):
        """Send this again and again until the server has enough of it; how much it let in."""
        with contextlib.suppress(ConnectionError):
            while self.sent < most:
                await self.send(chunk)
        return self.sent

    async def reply(self):
        """Status, headers and body of the next answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, body

    async def gone(self):
        """Whether nothing comes any more: the server has closed."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read() == b""
        return True

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@pytest.fixture
def app():
    return App()


@pytest.fixture
async def serve(app):
    """Serve with these limits; the port."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**limits):
            server = HttpServer(app, ServerLimits(**limits))
            port = await server.start("127.0.0.1", 0)
            stack.push_async_callback(server.close)
            return port

        async with asyncio.timeout(WITHIN):
            yield start


@pytest.fixture
async def connect():
    """A connection to a port."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_(port):
            client = Client(*await asyncio.open_connection("127.0.0.1", port))
            stack.push_async_callback(client.close)
            return client

        yield open_
