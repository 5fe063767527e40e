"""An end to a connection that does not wait for the other side.

nats-py writes out what it holds before it closes, and waits for that without a limit, also before it
reconnects: a server that is paused takes nothing, and the client would never be connected again. This
is the only module that knows how the library closes; connecting, authenticating and TLS stay the library's.
"""

from typing import Any

from nats.aio.client import Client
from nats.aio.transport import TcpTransport


class _AbruptTransport(TcpTransport):
    """Closes at once."""

    def close(self) -> None:
        """See the library."""
        if self._io_writer is not None:
            self._io_writer.transport.abort()

    def __bool__(self) -> bool:
        """The library takes another one in place of one that says that it is not connected."""
        return True


class AbruptEnd:
    """Of a client that has not connected yet: from now on it leaves a connection without waiting for it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connect = client._connect_to_server
        client._connect_to_server = self._connect_anew  # type: ignore[method-assign, assignment]

    async def _connect_anew(self, server: Any) -> None:
        """Close what the attempt before has left open: a server that is paused takes connections and says
        nothing, and the library forgets each of them at the next attempt."""
        if self._client._transport is None and not server.uri.scheme.startswith("ws"):
            self._client._transport = _AbruptTransport()  # type: ignore[no-untyped-call]
        if isinstance(transport := self._client._transport, TcpTransport):
            transport.close()  # type: ignore[no-untyped-call]
        await self._connect(server)

    def cut(self) -> None:
        """Leave the connection as it is, with all that has not been written."""
        self._client._pending, self._client._pending_data_size = [], 0
        if isinstance(transport := self._client._transport, TcpTransport):
            transport.close()  # type: ignore[no-untyped-call]
