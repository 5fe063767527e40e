"""`emailflow sidecar`: the door of a pod's own, which lends its apps credentials, retries, and maybe a disk.

Events are taken on loopback only. Health is told on a port of its own, since probes come from outside the
pod; it never depends on the runtime, or an app would not start because mails can't be sent.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor, Limits
from emailflow_runtime.adapters.http_server import HttpServer
from emailflow_runtime.adapters.http_sink import HttpSink
from emailflow_runtime.adapters.spool import Spool
from emailflow_runtime.app.draining import Drain
from emailflow_runtime.app.forwarding import BUDGET, Forwarder

LIMITS = Limits(max_requests=256, max_bytes=16 << 20, max_body_bytes=1 << 20)
"""One pod's share: a sidecar is small. The runtime says which bodies are too large, if it takes less."""
SPOOL_LIMITS = msgspec.structs.replace(LIMITS, max_body_bytes=262_144)
"""What is answered for before the runtime is asked: no more than it takes by default."""

log = logging.getLogger(__name__)


class SidecarOptions(msgspec.Struct, frozen=True):
    """What the command line says. Ports: 0 picks a free one."""

    sink: str
    token: Path | None = None
    port: int = 8790
    health_port: int | None = None
    """None: health is told on `port` only."""
    budget: float = BUDGET
    """Seconds that an app is kept waiting, without a spool."""
    spool: Path | None = None
    spool_bytes: int = 50 << 20
    grace: float = 25.0
    """Seconds that draining the spool may take once the process is asked to end."""


class SidecarPorts(msgspec.Struct, frozen=True):
    """Where it listens."""

    events: int
    health: int


class Sidecar:
    """One `emailflow sidecar`."""

    def __init__(self, options: SidecarOptions) -> None:
        self._options = options
        self._spool: Spool | None = None
        self._drain: Drain | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SidecarPorts]:
        """Serve while entered; on leaving, drain the spool for as long as there is grace.

        Raises PortInUse, SpoolUnusable, or ExceptionGroup when a part is lost.
        """
        options = self._options
        async with AsyncExitStack() as stack:
            sink = await stack.enter_async_context(HttpSink(options.sink, options.token))
            if options.spool is not None:
                self._spool = Spool(options.spool, options.spool_bytes)
                self._drain = Drain(self._spool, sink)
                # Left last, when nobody writes any more.
                stack.push_async_callback(self._spool.close)
            group = await stack.enter_async_context(asyncio.TaskGroup())
            door, tasks = self._start(group, sink)
            stack.callback(lambda: [task.cancel() for task in tasks])
            yield await self._serve(stack, door)
            await self._finish()

    def _start(self, group: asyncio.TaskGroup, sink: HttpSink) -> tuple[Any, list[asyncio.Task[None]]]:
        """The door, and what has to run behind it."""
        health = _Health(self._state)
        if self._spool is None or self._drain is None:
            forwarder = Forwarder(sink, budget=self._options.budget)
            # On loopback only: the apps of the pod, to which it lends its credentials.
            door = HttpDoor(forwarder, limits=LIMITS, tokens=Anonymous(), fallback=health)
            return door, [group.create_task(forwarder.run())]
        door = HttpDoor(self._spool, limits=SPOOL_LIMITS, tokens=Anonymous(), fallback=health)
        return _Durable(door), [group.create_task(self._spool.run()), group.create_task(self._drain.run())]

    async def _serve(self, stack: AsyncExitStack, door: Any) -> SidecarPorts:
        """Listen on loopback, in both families, since `localhost` may be either."""
        port = await _listen(stack, door, "127.0.0.1", self._options.port)
        if _has_ipv6_loopback():
            await _listen(stack, door, "::1", port)
        health = port
        if self._options.health_port is not None:
            host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - for the kubelet's probes
            health = await _listen(stack, _Health(self._state), host, self._options.health_port)
        return SidecarPorts(port, health)

    async def _finish(self) -> None:
        """Drain: what was acknowledged is the pod's to lose. Apps may go on sending meanwhile."""
        if self._spool is None or self._drain is None:
            return
        self._drain.hurry()
        try:
            async with asyncio.timeout(self._options.grace):
                await self._spool.until_empty()
        except TimeoutError:
            log.error("%d events are left in the spool", self._spool.events)

    def _state(self) -> tuple[bool, dict[str, int]]:
        if self._spool is None or self._drain is None:
            return True, {}
        return self._spool.usable, {"spooled": self._spool.events, "refused": self._drain.refused}


async def _listen(stack: AsyncExitStack, app: Any, host: str, port: int) -> int:
    server = HttpServer(app)
    chosen = await server.start(host, port)
    stack.push_async_callback(server.close)
    return chosen


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


class _Durable:
    """Says with every answer where a `202` has put the event."""

    def __init__(self, door: HttpDoor) -> None:
        self._door = door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def marked(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] in (202, 207):
                message = {**message, "headers": [*message["headers"], (b"emailflow-durable", b"spool")]}
            await send(message)

        await self._door(scope, receive, marked)


class _Health:
    """`/healthz`, for the startup and the readiness probe; anything else is not found."""

    def __init__(self, state: Callable[[], tuple[bool, dict[str, int]]]) -> None:
        self._state = state

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        is_well, counts = self._state()
        status = (200 if is_well else 503) if scope["path"] == "/healthz" else 404
        body = json.dumps({"status": "ok" if is_well else "unusable", **counts} if status != 404 else {})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})
