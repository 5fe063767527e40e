"""Sidecars as processes of their own, and a real HTTP door in front of a ledger that can go and come back."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from emailflow_runtime.adapters.http_door import FileTokens, HttpDoor
from emailflow_runtime.adapters.http_server import HttpServer

TOKEN = "mF_9.B5f-4.1JqM"
WITHIN = 60


class Door:
    """A door with a ledger of what it took. `faults` are errors to raise, by the event's id."""

    def __init__(self, folder: Path) -> None:
        self.tokens = folder / "tokens"
        self.tokens.write_text(f"{TOKEN}\n")
        self.taken: list[str] = []
        self.events = {}
        self.faults = {}
        self.grown = asyncio.Condition()
        self.port = 0
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = HttpServer(HttpDoor(self, tokens=FileTokens(self.tokens)))
        self.port = await self._server.start("127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def accept(self, event) -> None:
        """The port Ingest."""
        if (fault := self.faults.get(event.id)) is not None:
            raise fault
        async with self.grown:
            self.taken.append(event.id)
            self.events[event.id] = event
            self.grown.notify_all()

    async def until(self, count: int) -> None:
        """Return once the ledger has so many different events."""
        async with asyncio.timeout(WITHIN), self.grown:
            await self.grown.wait_for(lambda: len(self.events) >= count)


@pytest.fixture
async def door(tmp_path) -> AsyncIterator[Door]:
    made = Door(tmp_path)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


class Process:
    """One `emailflow sidecar` process."""

    def __init__(self, folder: Path, sink: str, *options: str) -> None:
        self.token = folder / "token"
        self.token.write_text(TOKEN)
        self.log = folder / "sidecar.log"
        self._ports_file = folder / "ports.json"
        self._command = [sys.executable, "-m", "emailflow_cli", "sidecar", f"--sink={sink}"]
        self._command += [
            f"--token={self.token}",
            f"--ports-file={self._ports_file}",
            "--health-port=0",
            *options,
        ]
        self._process: asyncio.subprocess.Process | None = None
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        """Start; after a first time on the same port, as a container does."""
        self._ports_file.unlink(missing_ok=True)
        command = [*self._command, f"--port={self.ports.get('events', 0)}"]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=log
            )
        assert self._process.stdout is not None
        async with asyncio.timeout(WITHIN):
            assert await self._process.stdout.readline(), self.log.read_text()
        self.ports = json.loads(self._ports_file.read_text())

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM, and its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN):
            return await self._process.wait()

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    @property
    def resident_bytes(self) -> int:
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def url(self) -> str:
        return f"http://localhost:{self.ports['events']}/events"


@pytest.fixture
async def sidecar(tmp_path, door) -> AsyncIterator:
    """Start a sidecar in front of the door, with these options."""
    made: list[Process] = []

    async def start(*options: str) -> Process:
        process = Process(tmp_path, door.url, *options)
        made.append(process)
        await process.start()
        return process

    try:
        yield start
    finally:
        for each in made:
            await each.close()


class App:
    """An app in the pod, which posts events."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def post(self, process: Process, event_id: str, **headers: str) -> aiohttp.ClientResponse:
        """The answer to one event in binary mode, its body read. Raises OSError or ClientError."""
        given = {
            "ce-specversion": "1.0",
            "ce-id": event_id,
            "ce-source": "/shop",
            "ce-type": "com.example.cart",
        }
        given |= {"content-type": "application/json", **headers}
        async with self.session.post(process.url, data=b'{"total": 1.0}', headers=given) as answer:
            await answer.read()
            return answer

    @asynccontextmanager
    async def sent(self, process: Process, **request):
        async with self.session.post(process.url, **request) as answer:
            yield answer

    async def health(self, process: Process, port: str = "health", path: str = "/healthz"):
        async with self.session.get(f"http://127.0.0.1:{process.ports[port]}{path}") as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def app() -> AsyncIterator[App]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN)) as session:
        yield App(session)
