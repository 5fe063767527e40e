"""A client that does nothing, or little, or doesn't read, has its time and no more."""

import asyncio
import json

import pytest

GET = b"GET / HTTP/1.1\r\nhost: x\r\n"
SHORT = 0.3


@pytest.mark.parametrize("begin", [b"G", GET, GET + b"a: "])
async def test_half_a_head_has_its_time(serve, connect, begin):
    client = await connect(await serve(head_seconds=SHORT))
    await client.send(begin)
    status, headers, body = await client.reply()
    assert (status, headers["connection"]) == (408, "close")
    assert json.loads(body)["reason"] == "RequestTimeout"
    assert await client.gone()


@pytest.mark.parametrize("begin", [b"", b"\r\n"])
async def test_who_says_nothing_is_left(serve, connect, begin):
    client = await connect(await serve(head_seconds=SHORT))
    await client.send(begin)
    assert await client.gone()


@pytest.mark.parametrize("drop", [b"x", b"a: b\r\n"])
async def test_a_byte_now_and_then_is_no_progress(serve, connect, drop):
    client = await connect(await serve(head_seconds=SHORT))
    await client.send(GET)

    async def trickle():
        while True:
            await client.send(drop)
            await asyncio.sleep(SHORT / 10)

    trickling = asyncio.create_task(trickle())
    assert (await client.reply())[0] == 408
    trickling.cancel()


async def test_line_ends_between_requests_keep_no_connection(serve, connect):
    client = await connect(await serve(head_seconds=SHORT))
    await client.send(GET + b"\r\n")
    assert (await client.reply())[0] == 200

    async def trickle():
        while True:
            await client.send(b"\r\n")
            await asyncio.sleep(SHORT / 10)

    trickling = asyncio.create_task(trickle())
    assert await client.gone()
    trickling.cancel()


async def test_a_body_has_its_time_whatever_the_application_waits_for(serve, connect, app):
    client = await connect(await serve(request_seconds=SHORT))
    await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx")
    assert (await client.reply())[0] == 408
    assert await client.gone()
    assert app.asked == []


async def test_a_body_that_nobody_reads_has_its_time(serve, connect, app):
    app.reads = False
    client = await connect(await serve(request_seconds=SHORT))
    await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nx")
    assert (await client.reply())[0] == 200
    assert await client.gone()


async def test_who_does_not_read_the_answer_is_cut_off(serve, connect, app):
    app.answer = b"x" * (64 << 20)
    client = await connect(await serve(request_seconds=SHORT))
    client.writer.transport.pause_reading()
    await client.send(GET + b"connection: close\r\n\r\n")
    await app.arrivals.get()

    async def cut():
        while True:
            await client.send(b"\r\n" * 100)
            await asyncio.sleep(0.01)

    with pytest.raises(ConnectionError):
        await cut()


async def test_a_slow_application_is_no_slow_client(serve, connect, app):
    port = await serve(head_seconds=SHORT, request_seconds=SHORT)
    app.gate.clear()
    slow, quick = await connect(port), await connect(port)
    await slow.send((GET + b"\r\n") * 2)
    await quick.send(GET)
    # Both have begun at the same time, so what the server does to slow clients it has done by now.
    assert (await quick.reply())[0] == 408
    app.gate.set()
    assert [(await slow.reply())[0] for _ in range(2)] == [200, 200]
