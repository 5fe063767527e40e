"""An HTTP server of which nothing is unbounded: connections, a request's head, and the time it may take.

What a request may do, and how large a body is read, is the application's to bound.
"""

import asyncio
import logging
import socket
import ssl
from typing import Any

from aiohttp import web

CONNECTIONS = 128
"""Open at once; what comes beyond is closed at once."""
IDLE = 30.0
"""Seconds until a connection that sends no whole head is closed."""
HANDSHAKE_WITHIN = 5.0
"""Seconds for TLS."""
STOP_WITHIN = 2.0
MOST_HEADERS = 64
LONGEST_HEADER = 8190
"""Bytes."""

log = logging.getLogger(__name__)


class BoundedServer:
    """`start` it on a socket that listens, `close` it in the end."""

    def __init__(self, app: web.Application, *, connections: int = CONNECTIONS, idle: float = IDLE) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=STOP_WITHIN,
            keepalive_timeout=idle,
            max_headers=MOST_HEADERS,
            max_field_size=LONGEST_HEADER,
            max_line_size=LONGEST_HEADER,
            lingering_time=1.0,
        )
        self._most = connections
        self._server: asyncio.Server | None = None
        self._arriving: set[asyncio.BaseProtocol] = set()
        """Accepted, and still shaking hands."""

    async def start(self, listening: socket.socket, context: ssl.SSLContext | None = None) -> None:
        """Serve on a socket that listens, with TLS where there is a context."""
        await self._runner.setup()
        server: Any = self._runner.server
        made = server.connection_made

        def arrived(protocol: asyncio.BaseProtocol, transport: asyncio.Transport) -> None:
            self._arriving.discard(protocol)
            made(protocol, transport)

        server.connection_made = arrived
        loop = asyncio.get_running_loop()
        within = HANDSHAKE_WITHIN if context is not None else None
        self._server = await loop.create_server(
            self._accepted, sock=listening, ssl=context, ssl_handshake_timeout=within
        )

    async def close(self) -> None:
        """Answer what is under way, then close, also connections that a client keeps for later."""
        if self._server is not None:
            self._server.close()
        connections = self._runner.server.connections if self._runner.server else []
        transports = [each.transport for each in connections]
        await self._runner.cleanup()
        for each in transports:
            if each is not None:
                each.abort()  # The other side may take its time to say goodbye in TLS.
        await asyncio.sleep(0)

    def _accepted(self) -> asyncio.BaseProtocol:
        server: Any = self._runner.server
        if len(server.connections) + len(self._arriving) >= self._most:
            log.debug("a connection too many is closed")
            return _Closed()
        protocol: asyncio.BaseProtocol = server()
        self._arriving.add(protocol)
        loop = asyncio.get_running_loop()
        loop.call_later(HANDSHAKE_WITHIN, self._arriving.discard, protocol)
        return protocol


class _Closed(asyncio.Protocol):
    """A connection that nobody serves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()
