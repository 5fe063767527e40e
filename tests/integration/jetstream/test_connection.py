"""What a connection tells of itself: probes and restarts depend on it."""

import asyncio
import gc

import pytest

from emailflow_runtime.adapters.jetstream import connection as module
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.errors import Unavailable

WITHIN = 20


async def test_requests_without_an_answer_are_told_of_until_that_is_over(connection, other, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.05)
    monkeypatch.setattr(module, "STREAK", 0.3)
    await other.client.subscribe("deaf")
    await other.client.flush()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await connection.request("deaf", b"")

    assert connection.unanswered_for() > 0
    async with asyncio.timeout(WITHIN):
        while connection.unanswered_for():  # noqa: ASYNC110 - it tells what is, not when
            await asyncio.sleep(0.01)


async def test_nobody_there_is_an_answer(connection):
    with pytest.raises(Unavailable):
        await connection.request("nobody.listens", b"")

    assert connection.unanswered_for() == 0
    assert connection.failures == 0


async def test_no_server_is_said_so(server):
    await server.stop()
    async with asyncio.timeout(WITHIN):
        with pytest.raises(Unavailable, match="NATS is not to be reached"):
            await connect(Credentials(server.url), "test")


async def test_a_ca_that_is_not_there_is_said_so(server, tmp_path):
    async with asyncio.timeout(WITHIN):
        with pytest.raises(Unavailable, match="CA can't be read"):
            await connect(Credentials(server.url, ca=str(tmp_path / "none.crt")), "test")


async def test_a_server_that_was_silent_keeps_no_connections_open(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 1)
    opened, closed = [], []

    async def serve(reader, writer):
        opened.append(writer)
        if len(opened) in {2, 3}:
            # As one that is paused: the kernel takes the connection, nobody says a word.
            await reader.read()
        else:
            writer.write(b'INFO {"max_payload": 1048576}\r\n')
            while line := await reader.readline():
                if line == b"PING\r\n":
                    writer.write(b"PONG\r\n")
                if len(opened) == 1 and line.startswith(b"SUB"):
                    break
        closed.append(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asyncio.timeout(WITHIN):
        connection = await connect(Credentials(address), "test")
        back = asyncio.create_task(connection.reconnected())
        await connection.client.subscribe("hang.up")
        await back
        # Whatever is forgotten open is found now, which warns of it.
        gc.collect()
        assert closed == opened[:3]
        await connection.close()
        server.close()
        await server.wait_closed()
