"""`emailflow runtime` as a pod runs it: a process, what the operator would have made around it, a mailbox."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from emailflow_api.compile import compile_resources
from emailflow_api.errors import Severity
from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import Plans
from emailflow_api.pod_settings import PodSettings, encode
from emailflow_api.reading import read_documents
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows, provision_streams
from emailflow_runtime.adapters.mail_catcher import MailCatcher
from emailflow_runtime.adapters.nats_server import NatsServer
from emailflow_runtime.adapters.system_clock import SystemClock

WITHIN = 30
KIND = "com.example.signed_up"
NAMES = Names("mail", "default")
MANIFESTS = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {{name: default, namespace: mail}}
spec: {{publicUrl: "https://mail.example.com", defaults: {{providerRef: {{name: smtp}}}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: smtp, namespace: mail}}
spec: {{type: Smtp, smtp: {{host: 127.0.0.1, port: {port}, tls: None}}, from: {{address: shop@example.com}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: hello, namespace: mail}}
spec:
  trigger: {{types: [com.example.signed_up]}}
  steps: [{{name: hello, send: {{templateRef: {{name: hello}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: hello, namespace: mail}}
spec: {{subject: "Hello {{{{ event.data.name }}}}", markdown: "Hi **{{{{ event.data.name }}}}**"}}
"""


async def until(ask: Any, within: float = WITHIN) -> Any:
    """The first true answer; the last one when time is up."""
    deadline = asyncio.get_running_loop().time() + within
    while not (answer := await ask()) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
        # Another process is asked; it has no event to wait for.
        await asyncio.sleep(0.03)
    return answer


class Operator:
    """What the operator does for a runtime pod."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def make_streams(self, plans: Plans) -> None:
        await provision_streams(self.connection, plans.runtime, events_bytes=256 << 20)

    async def apply(self, plans: Plans) -> None:
        await provision_flows(self.connection, plans)
        await PlanBucket(self.connection, NAMES.bucket("PLANS")).write(plans)


class PodProcess:
    """One `emailflow runtime`."""

    def __init__(self, folder: Path, settings: PodSettings) -> None:
        self.log = folder / "pod.log"
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    async def start(self, **changes: Any) -> None:
        """Start it, and return once it listens."""
        self._settings = msgspec.structs.replace(self._settings, **changes)
        settings, ports = self._folder / "runtime.json", self._folder / "ports.json"
        settings.write_bytes(encode(self._settings))
        ports.unlink(missing_ok=True)
        command = [sys.executable, "-m", "emailflow_cli", "runtime", "--verbose", "--host", "127.0.0.1"]
        command += ["--settings", str(settings), "--ports-file", str(ports)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220

        async def listens() -> bool:
            return ports.exists() or self.ended is not None

        assert await until(listens)
        assert self.ended is None, self.log.read_text()
        self.ports = json.loads(ports.read_text())

    @property
    def ended(self) -> int | None:
        """Its exit status, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def terminate(self) -> None:
        assert self._process is not None
        self._process.terminate()

    async def stop(self) -> int:
        self.terminate()
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, WITHIN)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(WITHIN)

    async def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an admin page."""
        url = f"http://127.0.0.1:{self.ports['admin']}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.json()

    async def status(self, port: str, method: str, path: str) -> int:
        """What one of its ports answers."""
        url = f"http://127.0.0.1:{self.ports[port]}{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
            return answer.status

    async def is_ready(self) -> bool:
        return (await self.probe("/readyz"))[0] == 200

    async def post(
        self, name: str, token: str = "", *, event_id: str = "", padding: int = 0
    ) -> tuple[int, dict[str, Any]]:
        """Sign this person up, with an event larger by `padding` bytes; what the door answers."""
        headers = {"ce-specversion": "1.0", "ce-type": KIND, "ce-source": "/test", "ce-id": event_id or name}
        headers["content-type"] = "application/json"
        if token:
            headers["authorization"] = f"Bearer {token}"
        data = json.dumps({"email": f"{name}@example.com", "name": name, "padding": "x" * padding})
        url = f"http://127.0.0.1:{self.ports['events']}/events"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=data, headers=headers) as answer,
        ):
            body = await answer.read()
            return answer.status, json.loads(body) if body else {}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    running = NatsServer(tmp_path / "nats", 0)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def operator(server: NatsServer) -> AsyncIterator[Operator]:
    connection = await connect(Credentials(server.url), "operator")
    yield Operator(connection)
    await connection.close()


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[MailCatcher]:
    catcher = MailCatcher(tmp_path / "mail", clock=SystemClock())
    catcher.port = await catcher.start(port=0)  # type: ignore[attr-defined]
    yield catcher
    await catcher.close()


@pytest.fixture
def plans(mailbox: MailCatcher) -> Plans:
    text = MANIFESTS.format(port=mailbox.port)  # type: ignore[attr-defined]
    compilation = compile_resources(read_documents(text, "test"), runtime=("mail", "default"))
    assert [each for each in compilation.findings if each.severity is Severity.ERROR] == []
    return compilation.plans


@pytest.fixture
def pod(tmp_path: Path, server: NatsServer) -> Any:
    settings = PodSettings(
        namespace="mail",
        name="default",
        shards=1,
        nats_url=server.url,
        secrets=str(tmp_path / "secrets"),
        events_port=0,
        links_port=0,
        admin_port=0,
        anonymous=True,
    )
    made = PodProcess(tmp_path, settings)
    yield made
    made.close()


async def subjects(mailbox: MailCatcher) -> list[str]:
    """The subjects of the mails that have arrived."""
    return [each.subject for each in mailbox.messages().messages]
