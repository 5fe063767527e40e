"""The operator and a real `emailflow runtime`, as in a cluster: applied, Ready, mailed, deleted."""

import asyncio
import base64
import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from emailflow_api.pod_settings import decode, encode
from emailflow_runtime.adapters.mail_catcher import MailCatcher
from emailflow_runtime.adapters.system_clock import SystemClock

from .conftest import FLOW, TEMPLATE, OperatorProcess, runtime, until


class Pod:
    """What the kubelet would run: the settings that the operator wrote, Secrets as folders."""

    def __init__(self, space: Any, folder: Path) -> None:
        self._space = space
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self._ports = folder / "pod.ports"

    async def start(self) -> None:
        path = f"/api/v1/namespaces/{self._space.name}/configmaps/emailruntime-default"
        written = await until(lambda: self._space.api.get(path))
        settings = decode(written["data"]["runtime.json"].encode())
        secrets = await self._mount_secrets()
        file = self._folder / "runtime.json"
        credentials = settings.nats_credentials.replace(settings.secrets, str(secrets))
        keyring = settings.keyring.replace(settings.secrets, str(secrets))
        local = {"secrets": str(secrets), "nats_credentials": credentials, "keyring": keyring}
        self._ports.unlink(missing_ok=True)
        file.write_bytes(encode(replace(settings, events_port=0, links_port=0, admin_port=0, **local)))
        command = [sys.executable, "-m", "emailflow_cli", "runtime", "--settings", str(file)]
        command += ["--host", "127.0.0.1", "--ports-file", str(self._ports)]
        with (self._folder / "pod.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)

    async def _mount_secrets(self) -> Path:
        """Secrets as folders, those that the Deployment mounts."""
        base = self._space.name
        found = await until(
            lambda: self._space.api.get(f"/apis/apps/v1/namespaces/{base}/deployments/emailruntime-default")
        )
        for volume in found["spec"]["template"]["spec"]["volumes"]:
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                path = f"/api/v1/namespaces/{base}/secrets/{name}"
                secret = await until(lambda path=path: self._space.api.get(path))
                folder = self._folder / "secrets" / name
                folder.mkdir(parents=True, exist_ok=True)
                for each in volume["secret"]["items"]:
                    value = base64.b64decode(secret["data"][each["key"]])
                    (folder / each["path"]).write_bytes(value)
        return self._folder / "secrets"

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(20):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if (log := self._folder / "pod.log").exists():
            sys.stdout.write(log.read_text())  # shown when the test has failed

    async def shows(self, path: str) -> int:
        """How it answers a GET on the port that the world reaches; 0 while it doesn't."""
        if not self._ports.exists():
            return 0
        url = f"http://127.0.0.1:{json.loads(self._ports.read_text())['links']}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    async def accepts(self, kind: str, name: str) -> bool:
        """Send an event; whether it was accepted."""
        if not self._ports.exists():
            return False
        headers = {"ce-specversion": "1.0", "ce-type": kind, "ce-source": "/test", "ce-id": name}
        body = json.dumps({"name": name, "email": f"{name}@example.com"})
        url = f"http://127.0.0.1:{json.loads(self._ports.read_text())['events']}/events"
        headers["content-type"] = "application/json"
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, data=body, headers=headers) as answer,
            ):
                return answer.status == 202
        except aiohttp.ClientError:
            return False


@pytest.fixture
async def pod(space: Any, tmp_path: Path) -> AsyncIterator[Pod]:
    made = Pod(space, tmp_path)
    yield made
    await made.stop()


@pytest.fixture
async def replica(space: Any, tmp_path: Path) -> AsyncIterator[Pod]:
    """A second pod of the same runtime."""
    (folder := tmp_path / "replica").mkdir()
    made = Pod(space, folder)
    yield made
    await made.stop()


@pytest.fixture
async def mailbox(tmp_path: Path) -> AsyncIterator[tuple[MailCatcher, int]]:
    catcher = MailCatcher(tmp_path / "mail", clock=SystemClock())
    yield catcher, await catcher.start(port=0)
    await catcher.close()


@pytest.fixture
async def served(
    space: Any, nats_server: Any, start_operator: Any, pod: Pod, mailbox: tuple[MailCatcher, int]
) -> OperatorProcess:
    """An operator, a runtime that is up, and a way to the mailbox."""
    operator: OperatorProcess = await start_operator("--watch-namespace", space.name)
    open_receiver = ', receiver: {anonymous: true}, publicUrl: "https://mail.example.com"'
    space.apply(runtime(nats_server.url, open_receiver).replace("port: 2525", f"port: {mailbox[1]}"))
    await space.becomes("emailruntimes", "default", ("True", "Succeeded"))
    await pod.start()
    return operator


async def test_apply_ready_event_mail(
    space: Any, served: OperatorProcess, pod: Pod, nats: Any, mailbox: tuple[MailCatcher, int]
) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    assert await until(lambda: pod.accepts("com.example.signed_up", "ana"))

    async def arrived() -> Any:
        return mailbox[0].messages().messages

    assert await until(arrived)
    space.delete("ef", "hello")

    async def is_gone() -> bool:
        stream = f"{space.name}_default_EVENTS"
        return await nats.find(f"CONSUMER.INFO.{stream}.{space.name}_hello") is None

    assert await until(is_gone)


async def test_runtimes_go_on_without_the_operator(
    space: Any, served: OperatorProcess, pod: Pod, mailbox: tuple[MailCatcher, int]
) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    await served.kill()
    assert await until(lambda: pod.accepts("com.example.signed_up", "ana"))

    async def arrived() -> Any:
        return mailbox[0].messages().messages

    assert await until(arrived)


async def test_a_mails_link_holds_on_every_replica_and_after_restarts(
    space: Any, served: OperatorProcess, pod: Pod, replica: Pod, mailbox: tuple[MailCatcher, int]
) -> None:
    space.apply(FLOW + "---" + TEMPLATE)
    await space.becomes("emailflows", "hello", ("True", "Succeeded"))
    assert await until(lambda: pod.accepts("com.example.signed_up", "ana"))

    async def arrived() -> Any:
        return mailbox[0].messages().messages

    (mail,) = await until(arrived)
    opened = mailbox[0].message(mail.id)
    assert opened is not None
    found = re.search(rb"<https://mail.example.com(/l/[^>]+)>", opened.source)
    assert found is not None
    link = found[1].decode()

    async def is_known(by: Pod) -> bool:
        return await by.shows(link) == 200

    await replica.start()
    assert await until(lambda: is_known(replica))
    await served.stop()
    await pod.stop()
    await pod.start()
    assert await until(lambda: is_known(pod))
    assert await pod.shows("/l/made-up") == 400
