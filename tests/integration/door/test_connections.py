"""What happens on the wire below a request: connections that go on, and clients that stall."""

import asyncio
import contextlib

EVENT = b"ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /shop\r\nce-type: t\r\n"


@contextlib.asynccontextmanager
async def connect(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def read_status(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))
    return int(head.split()[1])


def request(body, *headers):
    head = b"POST /events HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(body)
    return head + EVENT + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


async def test_a_connection_outlives_refused_requests(door):
    async with connect(door.port) as (reader, writer):
        statuses = []
        for message in (
            request(b"x" * 2_000_000),
            request(b"hello"),
            request(b"{", b"content-type: application/json"),
            request(b"x", b"content-encoding: br"),
            request(b""),
        ):
            writer.write(message)
            statuses.append(await read_status(reader))
        assert statuses == [413, 202, 400, 415, 202]
    assert [event.data for event in door.log.events] == [b"hello", None]


async def test_pipelined_requests_are_answered_in_order(door):
    async with connect(door.port) as (reader, writer):
        writer.write(request(b"a") + request(b"{", b"content-type: application/json") + request(b"b"))
        assert [await read_status(reader) for _ in range(3)] == [202, 400, 202]


async def test_a_chunked_body_is_refused_while_it_is_still_coming(door):
    async with connect(door.port) as (reader, writer):
        writer.write(b"POST /events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n" + EVENT + b"\r\n")
        answered = asyncio.create_task(read_status(reader))
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        for _ in range(40):
            writer.write(chunk)
            await writer.drain()
        assert await answered == 413
        writer.write(b"0\r\n\r\n" + request(b"next"))
        assert await read_status(reader) == 202
    assert [event.data for event in door.log.events] == [b"next"]


async def test_who_stalls_is_told_and_cut_off(impatient_door):
    async with connect(impatient_door.port) as (reader, writer):
        writer.write(request(b"whole")[:-1])
        assert await read_status(reader) == 408
        assert await reader.read() == b""
    assert impatient_door.log.events == []


async def test_who_hangs_up_leaves_nothing_behind(door):
    async with connect(door.port) as (_, writer):
        writer.write(request(b"whole")[:-1])
        await writer.drain()
    async with connect(door.port) as (reader, writer):
        writer.write(request(b"next"))
        assert await read_status(reader) == 202
    assert [event.data for event in door.log.events] == [b"next"]
