"""The processes around the runtime: nats-servers, the sink, and the runner that lives are forked from.

Every one ends with the test process, and is ended by the handle that started it, never by a name.
"""

import asyncio
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from tests.crash.runner_protocol import Life

from emailflow_runtime.adapters.nats_server import find_binary

HERE = Path(__file__).parent
PR_SET_PDEATHSIG = 1
WITHIN = 30.0
CONFIG = """\
server_name: n{number}
listen: "127.0.0.1:{port}"
jetstream {{
  store_dir: {store}
  sync_interval: always
  max_file_store: 1TB
}}
max_payload: 8MB
"""
CLUSTER = """\
cluster {{ name: crash, listen: "127.0.0.1:{port}", routes: [{routes}] }}
"""


def ending_with_this() -> Callable[[], None]:
    """What a child does first: ask to be killed when this process dies."""
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def started(command: list[str], log: Path, **options: int) -> subprocess.Popen[str]:
    with log.open("ab") as written:
        return subprocess.Popen(
            command,
            stderr=written,
            text=True,
            preexec_fn=ending_with_this(),  # noqa: PLW1509 - no threads here
            **{"stdout": written, **options},
        )


def free_ports(count: int) -> list[int]:
    """Ports that nobody had a moment ago: the servers of a cluster have to know them beforehand."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def until_there(path: Path) -> str:
    """What a process has written there."""
    deadline = monotonic() + WITHIN
    while monotonic() < deadline:
        if path.exists():
            return path.read_text()
        select.select([], [], [], 0.02)
    raise TimeoutError(f"{path.name} is not there")


class Server:
    """One nats-server on loopback. Its port stays the same."""

    def __init__(self, folder: Path, number: int, ports: tuple[int, int], routes: list[int]) -> None:
        self.folder = folder
        self.name = f"n{number}"
        self.port, at = ports
        folder.mkdir()
        self._config = folder / "conf"
        text = CONFIG.format(number=number, port=self.port, store=json.dumps(str(folder / "store")))
        if routes:
            others = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
            text += CLUSTER.format(port=at, routes=others)
        self._config.write_text(text)
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return once it takes connections."""
        command = [find_binary(), "-c", str(self._config), "-l", str(self.folder / "log")]
        self._process = started(command, self.folder / "out")
        deadline = monotonic() + WITHIN
        while monotonic() < deadline:
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            select.select([], [], [], 0.02)
        raise TimeoutError(f"{self.name} does not answer")

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and return when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Servers:
    """One nats-server, or three that are a cluster."""

    def __init__(self, folder: Path, count: int) -> None:
        ports = free_ports(2 * count)
        routes = ports[count:] if count > 1 else []
        pairs = zip(ports[:count], ports[count:], strict=True)
        self.each = [Server(folder / f"n{i}", i, pair, routes) for i, pair in enumerate(pairs)]
        self.count = count

    @property
    def url(self) -> str:
        return ",".join(server.url for server in self.each)

    def start(self) -> None:
        for server in self.each:
            server.start()

    def stop(self) -> None:
        for server in self.each:
            server.kill()


class SinkProcess:
    """The sink, as its folder shows it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._mails = folder / "mails"
        self._process = started([sys.executable, str(HERE / "sink.py"), str(folder)], folder / "log")
        self.port = int(until_there(folder / "port"))

    def mails(self) -> list[dict[str, str]]:
        """All that have arrived: `to`, `subject`, `id` (the Message-ID)."""
        return [json.loads(line) for line in self._mails.read_text().splitlines()]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


class Runner:
    """Forks lives."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, str(HERE / "runner.py")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = started(command, folder / "runner.log", **pipes)

    def fork(self, life: Life) -> "Running":
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(life._asdict()) + "\n")
        stdin.flush()
        return Running(life, int(stdout.readline()))

    def stop(self) -> None:
        with self._process:
            self._process.kill()


class Running:
    """One life, by a handle that never means another process."""

    def __init__(self, life: Life, pid: int) -> None:
        self.folder = Path(life.folder)
        self._handle = os.pidfd_open(pid)

    def signal(self, number: int) -> None:
        try:
            signal.pidfd_send_signal(self._handle, number)
        except ProcessLookupError:
            return

    async def ended(self, within: float = WITHIN) -> None:
        """Return when the process is gone."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._handle, over.set)
        try:
            async with asyncio.timeout(within):
                await over.wait()
        finally:
            loop.remove_reader(self._handle)

    def told(self, name: str) -> str | None:
        """What it wrote into its folder."""
        try:
            return (self.folder / name).read_text()
        except FileNotFoundError:
            return None

    def close(self) -> None:
        os.close(self._handle)
