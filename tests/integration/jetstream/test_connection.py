"""What a connection tells of itself: probes and restarts depend on it."""

import asyncio
import gc
from contextlib import suppress

import pytest

from emailflow_runtime.adapters.jetstream import connection as module
from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.adapters.jetstream.wire import frame
from emailflow_runtime.errors import Unavailable

WITHIN = 20
INFO = b'INFO {"max_payload": 1048576}\r\n'
MORE_THAN_BUFFERS_HOLD = 24
"""MB: what the kernel keeps for both ends together is less."""


@pytest.fixture
async def deaf(monkeypatch):
    """The address of a server that is up and answers nothing, until a second connection is made."""
    monkeypatch.setattr(module, "TIMEOUT", 1)
    monkeypatch.setattr(module, "DEAF_AFTER", 0.2)
    came = []

    async def serve(reader, writer):
        came.append(writer)
        first = len(came) == 1
        writer.write(INFO)
        while line := await reader.readline():
            words = line.split()
            if words[0] == b"PING":
                writer.write(b"PONG\r\n")
            elif words[0] == b"SUB":
                number = words[-1]
            elif words[0] == b"PUB":
                await reader.readline()
                if not first or words[1] == b"answered":
                    writer.write(b"MSG %b %b 2\r\nok\r\n" % (words[2], number))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", came
    for each in came:
        each.transport.abort()
    server.close()
    await server.wait_closed()


async def test_where_nothing_is_answered_another_connection_is_tried(deaf, monkeypatch):
    address, came = deaf
    async with asyncio.timeout(WITHIN):
        connection = await connect(Credentials(address), "test")
        monkeypatch.setattr(module, "TIMEOUT", 0.05)
        answer = None
        while answer is None:
            with suppress(Unavailable):
                answer = await connection.request("deaf", b"")

        assert len(came) == 2
        await connection.close()


async def test_a_connection_on_which_something_is_answered_stays(deaf, monkeypatch):
    address, came = deaf
    async with asyncio.timeout(WITHIN):
        connection = await connect(Credentials(address), "test")
        monkeypatch.setattr(module, "TIMEOUT", 0.05)
        for _ in range(10):
            with pytest.raises(Unavailable):
                await connection.request("deaf", b"")
            await connection.request("answered", b"")

        assert connection.connected
        assert len(came) == 1
        await connection.close()


async def test_nobody_there_is_an_answer(connection):
    with pytest.raises(Unavailable):
        await connection.request("nobody.listens", b"")

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
            writer.write(INFO)
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


@pytest.fixture
async def pausing():
    """The address of a server whose first client is up and then no longer heard, like all after it until
    `resumed` is set; that, and how many have come."""
    resumed, came, writers = asyncio.Event(), [], []

    async def serve(reader, writer):
        came.append(1)
        writers.append(writer)
        first = len(came) == 1
        if not first and not resumed.is_set():
            return
        writer.write(INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
                if first:
                    return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", resumed, came
    for each in writers:
        each.transport.abort()
    server.close()
    await server.wait_closed()


async def _write_more_than_it_reads(connection):
    for _ in range(MORE_THAN_BUFFERS_HOLD):
        await connection.wire.send(frame("a", b"x" * (1 << 20), {}))
    # The first write goes to the kernel at once, what it doesn't take stays here.
    while connection.client.pending_data_size:  # noqa: ASYNC110 - the library has no event for it
        await asyncio.sleep(0)


async def test_a_connection_closes_though_the_server_takes_nothing_any_more(pausing):
    address, _, _ = pausing
    async with asyncio.timeout(WITHIN):
        connection = await connect(Credentials(address), "test")
        await _write_more_than_it_reads(connection)

        await connection.close()

    assert connection.client.is_closed


async def test_a_connection_closes_in_the_middle_of_a_reconnect_to_a_silent_server(pausing, monkeypatch):
    monkeypatch.setattr(module, "PING_EVERY", 0.05)
    address, _, came = pausing
    async with asyncio.timeout(WITHIN):
        connection = await connect(Credentials(address), "test")
        await _write_more_than_it_reads(connection)
        while len(came) < 2:  # noqa: ASYNC110 - the library has no event for it
            await asyncio.sleep(0.01)

        await connection.close()

    assert connection.client.is_closed


async def test_a_server_that_took_nothing_any_more_is_left_for_a_new_connection(pausing, monkeypatch):
    monkeypatch.setattr(module, "PING_EVERY", 0.05)
    monkeypatch.setattr(module, "TIMEOUT", 1)
    address, resumed, _ = pausing
    async with asyncio.timeout(WITHIN):
        connection = await connect(Credentials(address), "test")
        back = asyncio.create_task(connection.reconnected())
        await _write_more_than_it_reads(connection)
        resumed.set()

        await back

        assert connection.connected
        await connection.close()
