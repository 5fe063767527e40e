"""Servers of the chart's NATS let one another in, and no other: its nats.conf as rendered, on loopback."""

import asyncio
import json
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from tests.unit.chart.conftest import Helm, find_helm

from emailflow_api.jetstream.naming import Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.admission.certificate_making import Material, make
from emailflow_operator.admission.certificate_policy import Lifetimes, Step
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.installation_keys import decoded, ensure_keys
from emailflow_operator.errors import JetStreamRefused, NatsUnreachable
from emailflow_runtime.adapters.nats_server import find_binary

from .conftest import NAMES, Kubernetes

WITHIN = 30
ENEMY = """
server_name: enemy
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor}"
cluster {{
  name: emailflow-nats
  listen: "127.0.0.1:{peers}"
  {more}
  routes: ["nats-route://{user}127.0.0.1:{target}"]
}}
"""


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for each in probes:
        each.bind(("127.0.0.1", 0))
    found = [int(each.getsockname()[1]) for each in probes]
    for each in probes:
        each.close()
    return found


def certificates(folder: Path) -> Material:
    made = make(Step.BEGIN, None, frozenset({"127.0.0.1", "localhost"}), datetime.now(UTC), Lifetimes())
    folder.mkdir()
    for name, content in made.as_data().items():
        (folder / name).write_bytes(content)
    return made


class Cluster:
    """Some of the chart's three servers, each in a folder of its own, and who else tries to be one."""

    def __init__(self, folder: Path, config: str, *, count: int = 2) -> None:
        self._count = count
        self._folder = folder
        self._config = config
        self._processes: list[asyncio.subprocess.Process] = []
        self.peers = free_ports(3)
        self.monitors = free_ports(3)
        self.clients = free_ports(3)
        self.password = "0123456789abcdef"
        self.certificates = folder / "certificates"
        certificates(self.certificates)
        self.kubernetes = Kubernetes()
        self.accounts = ""

    def config(self, number: int, store: Path) -> str:
        """nats.conf as a pod would have it, but for ports and folders."""
        text = self._config
        for said, here in (
            ("port: 4222", f'listen: "127.0.0.1:{self.clients[number]}"'),
            ("port: 6222", f'listen: "127.0.0.1:{self.peers[number]}"'),
            ("127.0.0.1:8222", f"127.0.0.1:{self.monitors[number]}"),
            ("/etc/nats/", f"{self.certificates}/"),
            ("/data", str(store)),
        ):
            assert said in text
            text = text.replace(said, here)
        return text

    async def start(self) -> None:
        api: Any = self.kubernetes
        await ensure_keys(api, "emailflow")
        (found,) = self.kubernetes.there.values()
        self.accounts = decoded(found)["accounts.conf"]
        for number in range(self._count):
            folder = self._folder / f"server-{number}"
            folder.mkdir()
            (folder / "nats.conf").write_text(self.config(number, folder))
            (folder / "accounts.conf").write_text(self.accounts)
            routes = {
                f"ROUTE_{each}": f"nats-route://routes:{self.password}@127.0.0.1:{port}"
                for each, port in enumerate(self.peers)
            }
            names = {"POD_NAME": f"emailflow-nats-{number}", "ROUTES_PASSWORD": self.password}
            await self.run(folder, {**names, **routes})

    async def run(self, folder: Path, environment: dict[str, str]) -> None:
        command = (find_binary(), "-c", str(folder / "nats.conf"), "-l", str(folder / "nats.log"))
        self._processes.append(await asyncio.create_subprocess_exec(*command, env=environment))

    async def stop(self) -> None:
        for each in self._processes:
            if each.returncode is None:
                each.terminate()
            await each.wait()


def ask(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while True:
            try:
                if await asyncio.to_thread(holds):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)


def rendered_config() -> str:
    """nats.conf of the chart for three servers."""
    program = find_helm()
    if program is None:
        pytest.skip("there is no helm: HELM, the PATH and EMAILFLOW_CLUSTER lead to none")
    return str(Helm(program)("nats.replicas=3").one("ConfigMap", "emailflow-nats")["data"]["nats.conf"])


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    made = Cluster(tmp_path, rendered_config())
    await made.start()
    yield made
    await made.stop()


def peers_of(monitor: int) -> set[str]:
    return {each["remote_name"] for each in ask(monitor, "/routez")["routes"]}


async def test_servers_of_the_cluster_find_one_another(cluster: Cluster) -> None:
    await until(lambda: peers_of(cluster.monitors[0]) == {"emailflow-nats-1"})
    await until(lambda: peers_of(cluster.monitors[1]) == {"emailflow-nats-0"})


OWN = 'tls {{ cert_file: "{0}/tls.crt", key_file: "{0}/tls.key", ca_file: "{1}/ca.crt" }}'


@pytest.mark.parametrize("enemy", ["plain", "another authority", "no password", "wrong password"])
async def test_another_server_is_let_in_by_none_of_them(cluster: Cluster, tmp_path: Path, enemy: str) -> None:
    await until(lambda: peers_of(cluster.monitors[0]) == {"emailflow-nats-1"})
    folder = tmp_path / "enemy"
    folder.mkdir()
    certificates(tmp_path / "others")
    # The last two have stolen a certificate, and lack the password still.
    shown = {"plain": "", "another authority": OWN.format(tmp_path / "others", cluster.certificates)}
    more = shown.get(enemy, OWN.format(cluster.certificates, cluster.certificates))
    user = {"another authority": f"routes:{cluster.password}@", "wrong password": "routes:guessed@"}.get(
        enemy, ""
    )
    port, monitor, peers = free_ports(3)
    (folder / "nats.conf").write_text(
        ENEMY.format(port=port, monitor=monitor, peers=peers, more=more, user=user, target=cluster.peers[0])
    )
    await cluster.run(folder, {})

    def was_refused() -> bool:
        said = (tmp_path / "server-0" / "nats.log").read_text().lower()
        return "rid:" in said and any(
            word in said for word in ("tls", "authentication error", "authorization")
        )

    await until(was_refused)
    await until(lambda: (folder / "nats.log").read_text().count("rid:") > 1)
    client = Client()
    await client.connect(f"nats://127.0.0.1:{port}")
    await client.close()

    assert peers_of(cluster.monitors[0]) == {"emailflow-nats-1"}
    assert peers_of(monitor) == set()


async def test_three_servers_take_accounts_and_replicated_streams(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, rendered_config(), count=3)
    await cluster.start()
    servers, api = Servers(), cluster.kubernetes
    urls = ",".join(f"tls://127.0.0.1:{port}" for port in cluster.clients)
    accounts = Accounts(api, "emailflow", servers, url=urls, share=1 << 30)  # type: ignore[arg-type]
    accounts.authority = (cluster.certificates / "ca.crt").read_text()
    wanted = streams(RuntimePlan(*NAMES), replicas=3, events_bytes=256 << 20)
    try:
        async with asyncio.timeout(60):
            while True:
                try:
                    await accounts.set_account(StreamOwner(*NAMES), replicas=3)
                    connection = await servers.connection(await accounts.server(NAMES))
                    await DataPlane(connection, NAMES).ensure_streams(wanted)
                    break
                except (NatsUnreachable, JetStreamRefused):  # they have not found one another yet
                    await asyncio.sleep(0.5)
        backup = await servers.connection(await accounts.server(NAMES, Role.BACKUP))
        there = {each["name"]: each["num_replicas"] for each in await backup.streams()}
        assert there == {each["name"]: 3 for each in wanted}
        assert await accounts.owners() == [StreamOwner(*NAMES)]
    finally:
        await servers.close()
        await cluster.stop()
