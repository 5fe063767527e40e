"""`emailflow operator` as its pod runs it, against a real API server and a real nats-server.

No other controller runs: nobody makes pods from Deployments, so a test that wants a runtime starts one
itself, with the settings that the operator wrote, and says what the kubelet would have said.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.nats_connection import NatsConnection, Server, connect
from emailflow_runtime.adapters.nats_server import NatsServer

WITHIN = 30
TOKEN = "only-for-this-test-run"
STATUS_PATH = "/apis/emailflow.dev/v1alpha1/namespaces"


async def until(ask: Callable[[], Awaitable[Any]], within: float = WITHIN) -> Any:
    """The first true answer; the last one when time is up."""
    deadline = asyncio.get_running_loop().time() + within
    while not (answer := await ask()) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)  # another process is asked: there is no event to wait for
    return answer


@pytest.fixture
def kubeconfig(apiserver: Any, tmp_path: Path) -> Path:
    """A kubeconfig for the API server."""
    file = tmp_path / "kubeconfig"
    cluster = {"server": apiserver.server, "certificate-authority": str(apiserver.authority)}
    config = {
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": TOKEN}}],
    }
    file.write_text(yaml.safe_dump(config))
    return file


@pytest.fixture
async def api(apiserver: Any) -> AsyncIterator[KubernetesApi]:
    """A client with all rights."""
    access = Access(apiserver.server, apiserver.authority, credentials=lambda: f"Bearer {TOKEN}")
    async with KubernetesApi(access) as client:
        yield client


@pytest.fixture
def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A running nats-server without authentication."""
    running = NatsServer(tmp_path / "nats", 0)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def nats(nats_server: NatsServer) -> AsyncIterator[NatsConnection]:
    """A connection to it."""
    made = await connect(Server(nats_server.url))
    yield made
    await made.close()


class OperatorProcess:
    """One `emailflow operator`."""

    def __init__(self, name: str, folder: Path, kubeconfig: Path, options: list[str]) -> None:
        self.name = name
        self.home = options[1]
        """The namespace of its Lease and Secrets."""
        self.log = folder / f"{name}.log"
        self._ports = folder / f"{name}.ports"
        self._kubeconfig = kubeconfig
        self._options = options
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = [sys.executable, "-W", "error", "-m", "emailflow_cli", "operator", *self._options]
        command += ["--identity", self.name, "--admin-port", "0", "--ports-file", str(self._ports)]
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command,
                stdout=log,
                stderr=log,
                env={"KUBECONFIG": str(self._kubeconfig), "PATH": "/usr/bin:/bin"},
            )

    async def get(self, path: str) -> tuple[int, str]:
        """What it answers on its admin port; (0, "") while nobody listens."""
        if not self._ports.exists():
            return 0, ""
        port = json.loads(self._ports.read_text())["admin"]
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}{path}") as answer,
            ):
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""

    async def stop(self) -> int:
        """End it as the kubelet does."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(20):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        assert self.process.returncode is not None
        return self.process.returncode

    async def kill(self) -> None:
        """End it without a word."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


Starter = Callable[..., Awaitable[OperatorProcess]]


@pytest.fixture
async def start_operator(kubeconfig: Path, tmp_path: Path, namespaces: Any) -> AsyncIterator[Starter]:
    """Starts operators that share a Lease; ends them all."""
    home = namespaces.create()
    started: list[OperatorProcess] = []

    async def start(*options: str) -> OperatorProcess:
        base = ["--namespace", home, "--image", "emailflow:test"]
        made = OperatorProcess(f"operator-{len(started)}", tmp_path, kubeconfig, [*base, *options])
        await made.start()
        started.append(made)
        return made

    yield start
    for each in started:
        await each.stop()
        sys.stdout.write(f"--- {each.name}\n{each.log.read_text()}")  # shown when the test has failed


class Space:
    """A namespace with resources in it."""

    def __init__(self, kubectl: Any, api: KubernetesApi, name: str) -> None:
        self.kubectl = kubectl
        self.api = api
        self.name = name

    def apply(self, manifests: str) -> None:
        self.kubectl(
            "apply", "--server-side", f"--namespace={self.name}", "--filename=-", manifests=manifests
        )

    def delete(self, kind: str, name: str) -> None:
        self.kubectl("delete", kind, name, f"--namespace={self.name}", "--wait=false")

    async def get(self, plural: str, name: str) -> Any:
        return await self.api.get(f"{STATUS_PATH}/{self.name}/{plural}/{name}")

    async def ready(self, plural: str, name: str) -> tuple[str, str]:
        """Status and reason of Ready about the current generation; empty while there is none."""
        value = await self.get(plural, name) or {}
        for each in (value.get("status") or {}).get("conditions") or []:
            if each["type"] == "Ready" and each["observedGeneration"] == value["metadata"]["generation"]:
                return each["status"], each["reason"]
        return "", ""

    async def becomes(self, plural: str, name: str, wanted: tuple[str, str], within: float = WITHIN) -> None:
        """Return when Ready says that; the test fails when it doesn't in time."""

        async def is_so() -> bool:
            return await self.ready(plural, name) == wanted

        assert await until(is_so, within), json.dumps(await self.get(plural, name))


@pytest.fixture
def space(apiserver: Any, api: KubernetesApi, namespace: str) -> Space:
    """The test's namespace."""
    return Space(apiserver, api, namespace)


RUNTIME = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {{name: default}}
spec: {{nats: {{url: "{url}"}}, replicas: 0, defaults: {{providerRef: {{name: smtp}}}}{more}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: smtp}}
spec: {{type: Smtp, smtp: {{host: 127.0.0.1, port: {smtp}, tls: None}}, from: {{address: shop@example.com}}}}
"""
FLOW = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: hello}
spec:
  trigger: {types: [com.example.signed_up]}
  steps: [{name: hello, send: {templateRef: {name: hello}}}]
"""
TEMPLATE = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: hello}
spec: {subject: "Hello {{ event.data.name }}", markdown: "Hi **{{ event.data.name }}**"}
"""


def runtime(url: str, more: str = "", smtp: int = 2525) -> str:
    """A runtime and a provider; no pods are wanted, since nobody would make them."""
    return RUNTIME.format(url=url, more=more, smtp=smtp)
