"""The short way through the client library does what the library does, and says so when it can't."""

import asyncio

import pytest

from emailflow_runtime.adapters.jetstream.wire import frame
from emailflow_runtime.errors import Unavailable

HEADERS = {"ce-id": "1", "ce-source": "/shop", "Weird": "a: b  c"}


async def test_a_frame_arrives_as_the_library_would_have_sent_it(connection):
    heard: asyncio.Queue = asyncio.Queue()

    async def take(message):
        heard.put_nowait(message)

    await connection.client.subscribe("here", cb=take)
    async with asyncio.timeout(20):
        await connection.client.publish("here", b"data\r\n", reply="there", headers=dict(HEADERS))
        theirs = await heard.get()
        await connection.wire.send(frame("here", b"data\r\n", HEADERS, reply="there"))
        ours = await heard.get()
    assert (ours.headers, ours.data, ours.reply) == (theirs.headers, theirs.data, theirs.reply)


async def test_a_message_is_taken_as_the_library_would_have_given_it(connection, other):
    heard: asyncio.Queue = asyncio.Queue()
    listening = await connection.wire.listen(heard.put_nowait)
    await connection.client.flush()
    await other.client.publish(listening.inbox, b"data", reply="there", headers=dict(HEADERS))
    async with asyncio.timeout(20):
        message = await heard.get()
    assert (message.subject, message.reply, message.headers, message.data) == (
        listening.inbox,
        "there",
        HEADERS,
        b"data",
    )


async def test_nothing_is_taken_after_the_end(connection):
    heard: asyncio.Queue = asyncio.Queue()
    listening = await connection.wire.listen(heard.put_nowait)
    await connection.wire.stop(listening)
    await connection.wire.send(frame(listening.inbox, b"late", {}))
    await connection.client.flush()
    assert heard.empty()


async def test_listening_goes_on_after_a_reconnect(connection, server):
    heard: asyncio.Queue = asyncio.Queue()
    listening = await connection.wire.listen(heard.put_nowait)
    back = asyncio.create_task(connection.reconnected())
    await asyncio.sleep(0)
    await server.restart()
    async with asyncio.timeout(30):
        await back
        await connection.wire.send(frame(listening.inbox, b"again", {}))
        assert (await heard.get()).data == b"again"


async def test_who_asks_where_nobody_listens_hears_so_at_once(connection):
    with pytest.raises(Unavailable, match="nobody listens"):
        await connection.request("nobody.there", b"")


async def test_each_who_expects_many_answers_gets_all_of_its_own(connection, other):
    heard: tuple[asyncio.Queue, ...] = (asyncio.Queue(), asyncio.Queue())
    first, second = [await connection.wire.expect_many(each.put_nowait) for each in heard]
    await connection.client.flush()
    for number in range(3):
        for to in (first, second):
            await other.client.publish(to, f"{to} {number}".encode())
    async with asyncio.timeout(20):
        for subject, queue in zip((first, second), heard, strict=True):
            found = [(await queue.get()).data.decode() for _ in range(3)]
            assert found == [f"{subject} {number}" for number in range(3)]


async def test_an_answer_that_comes_when_nobody_expects_it_any_more_is_nobodys(connection, other):
    heard: asyncio.Queue = asyncio.Queue()
    late = await connection.wire.expect_many(heard.put_nowait)
    connection.wire.unexpect(late)
    reply, answer = await connection.wire.expect()
    await connection.client.flush()
    await other.client.publish(late, b"late")
    await other.client.publish(reply, b"in time")
    async with asyncio.timeout(20):
        assert (await answer).data == b"in time"
    assert heard.empty()


async def test_nothing_is_kept_for_later_while_the_server_is_away(connection, server):
    await server.stop()
    async with asyncio.timeout(20):
        while connection.connected:  # noqa: ASYNC110
            # The client library tells of a lost connection by this flag only.
            await asyncio.sleep(0.01)
    with pytest.raises(Unavailable):
        await connection.wire.send(frame("here", b"", {}))


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\r\nNats-Msg-Id: forged"])
def test_a_header_is_one_line(value):
    with pytest.raises(ValueError, match="one line"):
        frame("here", b"", {"ce-id": value})
