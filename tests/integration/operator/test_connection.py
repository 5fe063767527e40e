"""The operator's connection to NATS: nobody waits for an answer that can't come, and servers tell how
they are set up to those whom they let ask.
"""

import asyncio
import select
from pathlib import Path
from typing import Any

import pytest

from emailflow_api.jetstream.permissions import SERVER_SETTINGS
from emailflow_operator.adapters import nats_connection
from emailflow_operator.adapters.nats_connection import Server, connect
from emailflow_operator.errors import NatsUnreachable
from emailflow_operator.reconcile.durability import durability
from emailflow_runtime.adapters.nats_server import find_binary

from .conftest import until

CONF = """
listen: "127.0.0.1:{port}"
jetstream {{ store_dir: "{store}"{sync} }}
accounts {{
  SYS: {{ exports: [{{service: "$SYS.REQ.SERVER.PING.VARZ"}}], users: [{{user: s, password: s}}] }}
  MAIL: {{
    jetstream: enabled
    imports: [{{service: {{account: SYS, subject: "$SYS.REQ.SERVER.PING.VARZ"}}}}]
    users: [{{user: mail, password: mail}}]
  }}
}}
system_account: SYS
"""


async def test_whoever_waits_for_an_answer_hears_that_the_connection_is_lost(
    nats: Any, nats_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_connection, "TIMEOUT", 1000.0)
    asked = asyncio.Event()

    async def never_answer(_: Any) -> None:
        asked.set()

    await nats.subscribe("silence", never_answer)
    waiting = asyncio.create_task(nats.request("silence", b""))
    async with asyncio.timeout(30):
        await asked.wait()
        await nats_server.stop()
        with pytest.raises(NatsUnreachable):
            await waiting


async def test_who_may_not_ask_servers_for_their_settings_hears_nothing(nats: Any) -> None:
    assert await nats.replies(SERVER_SETTINGS, 0.5) == []


@pytest.mark.parametrize(("sync", "said"), [(", sync_interval: always", "True"), ("", "False")])
async def test_a_server_that_lets_the_runtimes_user_ask_says_whether_it_is_durable(
    tmp_path: Path, free_port: int, sync: str, said: str
) -> None:
    conf = tmp_path / "nats.conf"
    conf.write_text(CONF.format(port=free_port, store=tmp_path / "js", sync=sync))
    process = await asyncio.create_subprocess_exec(
        find_binary(), "-c", str(conf), "-l", str(tmp_path / "nats.log")
    )
    try:

        async def made() -> Any:
            try:
                return await connect(Server(f"nats://mail:mail@127.0.0.1:{free_port}"))
            except NatsUnreachable:
                return None

        connection = await until(made)

        async def answers() -> Any:
            return await connection.replies(SERVER_SETTINGS, 0.5)

        assert durability(await until(answers)).status == said
        await connection.close()
    finally:
        process.terminate()
        await process.wait()


INFO = b'INFO {"server_id":"x","version":"2.15.0","proto":1,"max_payload":67108864,"headers":true}\r\n'


class Deaf:
    """A server whose first connection is up and then no longer read; later ones are served."""

    def __init__(self) -> None:
        self.came = 0
        self.released = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._serving: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> "Deaf":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=4 << 20)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.released.set()
        self._server.close()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (task := asyncio.current_task()) is not None:
            self._serving.append(task)
        self.came += 1
        first = self.came == 1
        writer.write(INFO)
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
                if first:
                    writer.transport.pause_reading()  # type: ignore[attr-defined]
                    await self.released.wait()
                    break
        writer.transport.abort()
        await asyncio.sleep(0)  # the loop closes it in its next turn


async def publish_until_nothing_is_taken(connection: Any) -> None:
    """Fill the sockets' buffers, so that the library waits for the server."""
    transport = connection.client._transport._io_writer.transport
    socket = transport.get_extra_info("socket")
    while transport.get_write_buffer_size() == 0 or select.select([], [socket], [], 0)[1]:
        if connection.client._pending_data_size == 0:
            await connection.client.publish("much", b"x" * (1 << 20))
        await asyncio.sleep(0)


async def test_a_nats_that_takes_nothing_is_left_for_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_connection, "PING_EVERY", 1)
    async with asyncio.timeout(60), Deaf() as server:
        connection = await connect(Server(server.url))
        back = asyncio.Event()
        connection.when_changed(lambda: back.set() if server.came > 1 and connection.connected else None)
        await publish_until_nothing_is_taken(connection)
        await back.wait()
        assert server.came == 2
        await connection.close()


async def test_a_connection_to_a_nats_that_takes_nothing_can_be_closed() -> None:
    async with asyncio.timeout(60), Deaf() as server:
        connection = await connect(Server(server.url))
        await publish_until_nothing_is_taken(connection)
        began = asyncio.get_running_loop().time()
        await connection.close()
        assert connection.client.is_closed
        assert asyncio.get_running_loop().time() - began < nats_connection.TIMEOUT
