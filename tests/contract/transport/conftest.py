"""The ways out that the contract is held against: one in memory, and SMTP with a server that isn't ours."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiosmtpd.smtp import SMTP

from emailflow_api.plans import Smtp
from emailflow_runtime.adapters.in_memory.mail_transport import InMemoryTransport, Provider
from emailflow_runtime.adapters.smtp import SmtpTransport
from emailflow_runtime.app.ports import OutgoingMail


class Reception:
    """aiosmtpd's hooks."""

    def __init__(self, provider):
        self._provider = provider

    async def handle_DATA(self, server, session, envelope):
        self._provider.reached.set()
        match self._provider.mood:
            case "accept":
                got = envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content
                self._provider.received.append(OutgoingMail("", *got))
                return "250 2.0.0 taken"
            case "defer":
                return "451 4.3.0 later"
            case "refuse":
                return "554 5.7.1 never"
            case "vanish":
                server.transport.abort()
                return "250 nobody hears this"
        return await asyncio.get_running_loop().create_future()


@asynccontextmanager
async def in_memory(provider):
    yield InMemoryTransport(provider)


@asynccontextmanager
async def smtp(provider):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Reception(provider), hostname="mx.example", loop=loop), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    transport = SmtpTransport(
        Smtp(host="127.0.0.1", port=port, tls="None"), password=None, ca=None, concurrency=4, hello=""
    )
    try:
        yield transport
    finally:
        await transport.close()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def provider():
    return Provider()


@pytest.fixture(params=[in_memory, smtp], ids=["in memory", "smtp"])
async def transport(request, provider):
    async with request.param(provider) as made:
        yield made
