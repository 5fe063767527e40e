"""The whole way: a mail comes in by SMTP and is read over HTTP, from a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest
import uvicorn

from emailflow_runtime.web.inbox_app import inbox_app


@pytest.fixture
async def address(running) -> AsyncIterator[str]:
    """The base URL of the inbox, served until the catcher is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(inbox_app(running.catcher), log_level="error", lifespan="off"))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    await running.catcher.close()
    server.should_exit = True
    await asyncio.wait_for(serving, 10)


async def test_a_page_hears_of_a_mail_and_reads_it(running, mail, address: str) -> None:
    changes = f"{address}/inbox/changes?after={running.catcher.position}"
    async with aiohttp.ClientSession() as client, client.get(changes) as events:
        assert events.headers["Content-Type"].startswith("text/event-stream")
        await running.talk(lambda smtp: smtp.send_message(mail))
        told = await asyncio.wait_for(events.content.readuntil(b"data:"), 10)
        assert b"id: " in told

        async with client.get(f"{address}/api/v1/messages") as answer:
            page = await answer.json()
        assert page["messages"][0]["Subject"] == "Your cart"
        async with client.get(f"{address}/static/inbox.css") as answer:
            assert answer.content_type == "text/css"


async def test_an_open_page_does_not_hold_up_the_end(running, address: str) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{address}/inbox/changes") as events:
        await events.content.readline()
        await running.catcher.close()
        await asyncio.wait_for(events.read(), 10)
