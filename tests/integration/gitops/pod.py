"""A runtime pod as the kubelet would run it: the settings and the Secrets of the operator's Deployment."""

import asyncio
import base64
import sys
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.integration.operator.conftest import until

from emailflow_api.pod_settings import decode, encode

SECRETS_WITHIN = 5
"""Seconds; the operator may write a Secret after the Deployment that mounts it."""


class RuntimePod:
    """`emailflow runtime` of the EmailRuntime `default` in a namespace."""

    def __init__(self, api: Any, namespace: str, folder: Path) -> None:
        self._api = api
        self._namespace = namespace
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it as soon as the operator has written its settings."""
        core = f"/api/v1/namespaces/{self._namespace}"
        written = await until(lambda: self._api.get(f"{core}/configmaps/emailruntime-default"))
        apps = f"/apis/apps/v1/namespaces/{self._namespace}"
        deployment = await until(lambda: self._api.get(f"{apps}/deployments/emailruntime-default"))
        text, secrets = written["data"]["runtime.json"], str(self._folder / "secrets")
        text = text.replace(decode(text.encode()).secrets, secrets)
        for volume in deployment["spec"]["template"]["spec"]["volumes"]:
            if "secret" in volume:
                name = volume["secret"]["secretName"]
                path = f"{core}/secrets/{name}"
                self._mount(name, await until(lambda path=path: self._api.get(path), SECRETS_WITHIN))
        file = self._folder / "runtime.json"
        file.write_bytes(encode(replace(decode(text.encode()), events_port=0, links_port=0, admin_port=0)))
        command = [sys.executable, "-m", "emailflow_cli", "runtime", f"--settings={file}", "--host=127.0.0.1"]
        with (self._folder / "pod.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)

    def _mount(self, name: str, secret: Any) -> None:
        folder = self._folder / "secrets" / name
        folder.mkdir(parents=True, exist_ok=True)
        for key, value in ((secret or {}).get("data") or {}).items():
            (folder / key).write_bytes(base64.b64decode(value))

    async def stop(self) -> None:
        """End it as the kubelet does."""
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
