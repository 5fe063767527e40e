"""How many connections there may be, and who makes room for whom."""

import json

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def busy(client, app):
    """The connection has a request under way that isn't answered yet."""
    await client.send(GET)
    await app.arrivals.get()


async def test_one_more_than_there_may_be_is_told_to_come_again(serve, connect, app):
    port = await serve(connections=4, connections_of_peer=4)
    app.gate.clear()
    inside = [await connect(port) for _ in range(2)]  # half of all is one peer's at most
    for client in inside:
        await busy(client, app)
    late = await connect(port)
    status, headers, body = await late.reply()
    assert (status, json.loads(body)["reason"]) == (503, "TooManyConnections")
    assert int(headers["retry-after"]) > 0
    assert await late.gone()
    app.gate.set()
    assert [(await client.reply())[0] for client in inside] == [200, 200]


async def test_an_idle_connection_makes_room(serve, connect, app):
    port = await serve(connections=4)
    first, second = await connect(port), await connect(port)
    for client in (first, second):
        await client.send(GET)
        assert (await client.reply())[0] == 200
        await app.arrivals.get()
    app.gate.clear()
    await busy(second, app)
    late = await connect(port)
    await busy(late, app)
    assert await first.gone()
    app.gate.set()
    assert (await second.reply())[0] == (await late.reply())[0] == 200


async def test_those_that_are_gone_leave_room(serve, connect):
    port = await serve(connections=2)
    for _ in range(10):
        client = await connect(port)
        await client.send(GET)
        assert (await client.reply())[0] == 200
        await client.close()
