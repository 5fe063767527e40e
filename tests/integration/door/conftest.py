"""The door behind the real server on a free loopback port, and curl in front of it."""

import asyncio
import contextlib
import json
from typing import NamedTuple

import pytest

from emailflow_runtime.adapters.http_door import Anonymous, FileTokens, HttpDoor, Limits
from emailflow_runtime.adapters.http_server import HttpServer

TOKEN = "mF_9.B5f-4.1JqM"


class Log:
    """An Ingest that keeps events in memory; `fault` is raised while it is set."""

    def __init__(self):
        self.events = []
        self.fault = None

    async def accept(self, event):
        if self.fault is not None:
            raise self.fault
        self.events.append(event)


class Served(NamedTuple):
    """A door that is being served, and the log behind it."""

    url: str
    port: int
    log: Log


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self):
        return json.loads(self.body)


def read_reply(text):
    """The last response in what `curl -i` printed (interim ones, as 100 Continue, come before it)."""
    head, _, body = text.partition("\n\n")
    status, *lines = head.splitlines()
    if status.split()[1].startswith("1"):
        return read_reply(body)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Reply(int(status.split()[1]), headers, body)


@contextlib.asynccontextmanager
async def serve(**settings):
    log = Log()
    settings.setdefault("tokens", Anonymous())
    server = HttpServer(HttpDoor(log, **settings))
    port = await server.start("127.0.0.1", 0)
    try:
        yield Served(f"http://127.0.0.1:{port}", port, log)
    finally:
        await server.close()


@pytest.fixture
async def door():
    async with serve(limits=Limits(body_seconds=30)) as served:
        yield served


@pytest.fixture
async def impatient_door():
    async with serve(limits=Limits(body_seconds=0.2)) as served:
        yield served


@pytest.fixture
async def guarded_door(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"shop:{TOKEN}\n")
    async with serve(tokens=FileTokens(path)) as served:
        yield served


@pytest.fixture
def shell():
    """Run a command line of bash, with a time limit; what it printed."""

    async def run(command):
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            stdout, stderr = await process.communicate()
        assert process.returncode == 0, stderr.decode()
        return stdout.decode().replace("\r\n", "\n")

    return run


@pytest.fixture
def curl():
    """Run curl with these arguments and this standard input; the reply."""

    async def run(*arguments, stdin=b""):
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-i", "--max-time", "30", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            stdout, stderr = await process.communicate(stdin)
        assert process.returncode == 0, stderr.decode()
        return read_reply(stdout.decode().replace("\r\n", "\n"))

    return run


@pytest.fixture(name="read_reply")
def _read_reply():
    return read_reply


@pytest.fixture
def token():
    return TOKEN
