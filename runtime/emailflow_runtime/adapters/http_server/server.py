"""The HTTP server: uvicorn around one ASGI application, on a socket that is bound here.

It takes no signals and writes no access log (URLs carry tokens); ending it is the caller's business.
"""

import asyncio
import contextlib
import functools
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import uvicorn

from emailflow_runtime.adapters.http_server.connection import Connection
from emailflow_runtime.adapters.http_server.crowd import Crowd
from emailflow_runtime.adapters.http_server.limits import ServerLimits
from emailflow_runtime.errors import EmailFlowError

AsgiApp = Callable[[Any, Any, Any], Awaitable[None]]
STOP_WITHIN = 2
SHARE_OF_DESCRIPTORS = 4
"""A server's connections take this part of the process's file descriptors at most."""
TICKS = 3
"""Of a tenth of a second, from one look at all connections to the next."""


class PortInUse(EmailFlowError):
    """The HTTP port is taken."""

    reason = "PortInUse"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, crowd: Crowd) -> None:
        super().__init__(config)
        self._crowd = crowd

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections now and then."""
        if counter % TICKS == 0:
            self._crowd.look(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process."""
        yield


_DEFAULT_LIMITS = ServerLimits()


class HttpServer:
    """Serves one application until closed."""

    def __init__(self, app: AsgiApp, limits: ServerLimits = _DEFAULT_LIMITS) -> None:
        crowd = Crowd(limits, _room(limits.connections))
        make: Any = functools.partial(Connection, crowd, limits)
        config = uvicorn.Config(
            app,
            http=make,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing asks where a request came from, and links begin with `publicUrl`.
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_WITHIN,
        )
        self._server = _Server(config, crowd)
        self._task: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port (0: a free one is chosen). Raises PortInUse."""
        listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            listening.close()
            raise PortInUse(f"HTTP port: can't listen on {host}:{port}: {error.strerror}") from error
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        # uvicorn tells of its start by a flag only.
        while not self._server.started and not self._task.done():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        if self._task.done():
            await self._task
        chosen: int = listening.getsockname()[1]
        return chosen

    async def close(self) -> None:
        """Finish the requests at hand, then stop listening."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def _room(wanted: int) -> int:
    """As many connections as are wanted, or as the process has descriptors to spare for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else max(1, min(wanted, soft // SHARE_OF_DESCRIPTORS))
