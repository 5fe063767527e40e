"""Whatever a client sends, the server keeps little of it, and says where it stops."""

import asyncio
import json
from pathlib import Path

import pytest

MEBIBYTE = 1 << 20
CHUNK = 64 * 1024
GET = b"GET / HTTP/1.1\r\nhost: x\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = POST + b"transfer-encoding: chunked\r\n\r\n"


def resident():
    """The memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


FLOODS = {
    "one header without an end": (GET + b"a: ", b"x" * CHUNK),
    "many headers": (GET, b"".join(b"a%d: %s\r\n" % (n, b"x" * 500) for n in range(120))),
    "many tiny headers": (GET, b"a:\r\n" * (CHUNK // 4)),
    "a header's name without an end": (GET, b"x" * CHUNK),
    "trailers": (
        CHUNKED + b"1\r\nx\r\n0\r\n",
        b"".join(b"t%d: %s\r\n" % (n, b"x" * 500) for n in range(120)),
    ),
    "one trailer without an end": (CHUNKED + b"0\r\nt: ", b"x" * CHUNK),
    "an extension of a chunk": (CHUNKED + b"1;a=", b"x" * CHUNK),
}


@pytest.mark.parametrize(("begin", "chunk"), FLOODS.values(), ids=FLOODS)
async def test_64_mb_of_headers_end_after_64_kib(serve, connect, begin, chunk):
    client = await connect(await serve())
    before = resident()
    await client.send(begin)
    sent = asyncio.create_task(client.flood(chunk, 64 * MEBIBYTE))
    status, headers, body = await client.reply()
    assert (status, headers["connection"]) == (431, "close")
    assert json.loads(body)["reason"] == "HeadersTooLarge"
    # The kernel's buffers take some more than the server does, which drops it.
    assert await sent < 32 * MEBIBYTE
    assert resident() - before < 8 * MEBIBYTE


@pytest.mark.parametrize("piece", [1, 7_000])
async def test_a_head_that_comes_in_pieces_is_counted_whole(serve, connect, piece):
    client = await connect(await serve(head_bytes=8_000))
    head = GET + b"a: " + b"x" * 9_000 + b"\r\n\r\n"
    answered = asyncio.create_task(client.reply())
    for start in range(0, len(head), piece):
        if answered.done():
            break
        await client.send(head[start : start + piece])
    assert (await answered)[0] == 431


async def test_a_large_head_below_the_limit_is_taken(serve, connect, app):
    client = await connect(await serve())
    filler = b"".join(b"a%d: %s\r\n" % (n, b"x" * 4_000) for n in range(15))
    await client.send(GET + filler + b"\r\n")
    assert (await client.reply())[0] == 200
    await client.send(POST + filler + b"content-length: 200000\r\n\r\n" + b"x" * 200_000)
    assert (await client.reply())[0] == 200
    assert [len(body) for _, body, _ in app.asked] == [0, 200_000]


async def test_too_many_headers_are_refused_however_small(serve, connect, app):
    client = await connect(await serve(headers=10))
    await client.send(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 11 + b"\r\n")
    assert (await client.reply())[0] == 431
    assert app.asked == []


async def test_a_url_has_a_limit_of_its_own(serve, connect, app):
    port = await serve()
    client = await connect(port)
    await client.send(b"GET /" + b"x" * 8_192)
    status, _, body = await client.reply()
    assert (status, json.loads(body)["reason"]) == (414, "UrlTooLong")
    assert await client.gone()
    client = await connect(port)
    await client.send(b"GET /" + b"x" * 8_191 + b" HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.reply())[0] == 200


async def test_what_is_no_http_is_said_so_once(serve, connect):
    client = await connect(await serve())
    await client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 100)
    status, _, body = await client.reply()
    assert (status, json.loads(body)["reason"]) == (400, "MalformedRequest")
    assert await client.gone()


async def test_trailers_are_no_headers(serve, connect, app):
    client = await connect(await serve())
    await client.send(CHUNKED + b"1\r\nx\r\n0\r\nauthorization: Bearer late\r\n\r\n")
    assert (await client.reply())[0] == 200
    ((_, body, headers),) = app.asked
    assert body == b"x"
    assert b"authorization" not in dict(headers)


async def test_pipelined_requests_are_answered_up_to_a_number_and_no_more_are_kept(serve, connect, app):
    client = await connect(await serve(pipelined=5))
    app.gate.clear()
    await client.send((GET + b"\r\n") * 1_000)
    await app.arrivals.get()
    app.gate.set()
    statuses = [(await client.reply())[0] for _ in range(6)]
    assert statuses == [200] * 6
    assert await client.gone()
    assert len(app.asked) == 6


async def test_a_bad_request_behind_good_ones_takes_no_answer_from_them(serve, connect, app):
    client = await connect(await serve(headers=10))
    app.gate.clear()
    await client.send((GET + b"\r\n") * 2 + GET + b"a: b\r\n" * 20 + b"\r\n" + GET + b"\r\n")
    await app.arrivals.get()
    app.gate.set()
    assert [(await client.reply())[0] for _ in range(2)] == [200, 200]
    assert await client.gone()
    assert len(app.asked) == 2


async def test_trailers_of_a_request_that_waits_take_no_answer_from_the_one_before(serve, connect, app):
    client = await connect(await serve())
    app.gate.clear()
    await client.send(GET + b"\r\n" + CHUNKED + b"1\r\nx\r\n0\r\nt: " + b"x" * 50_000)
    await app.arrivals.get()
    app.gate.set()
    assert (await client.reply())[0] == 200
    await client.flood(b"x" * CHUNK, 4 * CHUNK)
    # Its own answer is none, or the refusal; it is never taken.
    await client.gone()
    assert [path for path, *_ in app.asked] == ["/"]


async def test_after_an_upgrade_nothing_is_read_as_a_request(serve, connect, app):
    client = await connect(await serve())
    upgrade = b"GET /first HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    await client.send(upgrade + b"GET /second HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.reply())[0] == 200
    assert await client.gone()
    assert [path for path, *_ in app.asked] == ["/first"]
