"""Connections to NATS servers, one for each server and credentials, shared by the runtimes that use them."""

import asyncio
import logging

from emailflow_operator.adapters.nats_connection import NatsConnection, Server, connect

log = logging.getLogger(__name__)


class Servers:
    """Opens what is asked for, keeps it, and closes everything in the end."""

    def __init__(self) -> None:
        self._open: dict[Server, NatsConnection] = {}
        self._opening: dict[Server, asyncio.Lock] = {}

    async def connection(self, server: Server) -> NatsConnection:
        """The connection to a server. Raises NatsUnreachable, InvalidCredentials."""
        async with self._opening.setdefault(server, asyncio.Lock()):
            known = self._open.get(server)
            if known is not None and not known.client.is_closed:
                return known
            made = await connect(server)
            self._open[server] = made
            log.info("connected to NATS at %s", server.url)
            return made

    async def release(self, server: Server) -> None:
        """Close the connection to a server that nobody uses any more, if there is one."""
        self._opening.pop(server, None)
        if (connection := self._open.pop(server, None)) is not None:
            await connection.close()

    async def close(self) -> None:
        """Close all of them."""
        for connection in self._open.values():
            await connection.close()
        self._open.clear()
