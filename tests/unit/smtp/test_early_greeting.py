"""A server greets as soon as it is connected to, however busy the client is at that moment."""

import asyncio

from emailflow_runtime.adapters.smtp.connection import Connection
from emailflow_runtime.core.smtp.opening import greet, hello


class Wire(asyncio.Transport):
    """Takes what is written."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written = bytes(data)

    def abort(self) -> None:
        self.written = b"aborted"


async def test_a_greeting_that_came_before_anybody_asked_counts() -> None:
    loop = asyncio.get_running_loop()
    connection = Connection(loop)
    connection.connection_made(Wire())
    connection.data_received(b"220 mx.exa")
    connection.data_received(b"mple.com\r\n")
    await connection.converse(greet(), give_up_at=loop.time() + 5)
    introduced = asyncio.ensure_future(connection.converse(hello("me"), give_up_at=loop.time() + 5))
    await asyncio.sleep(0)
    connection.data_received(b"250-mx.example.com\r\n250 PIPELINING\r\n")
    assert (await introduced).pipelining
