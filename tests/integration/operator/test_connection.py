"""The operator's connection to NATS: nobody waits for an answer that can't come, and servers tell how
they are set up to those whom they let ask.
"""

import asyncio
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
