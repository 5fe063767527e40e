"""What the kubelet and Prometheus ask the operator: /healthz, /readyz, /metrics."""

import socket
from collections.abc import Callable

from aiohttp import web

from emailflow_operator.adapters.bounded_server import BoundedServer


class AdminServer:
    """Answers with what the three functions say at that moment."""

    def __init__(
        self, healthy: Callable[[], str], ready: Callable[[], bool], metrics: Callable[[], str]
    ) -> None:
        """`healthy` says what is wrong, and nothing when all is well."""
        self._healthy = healthy
        self._ready = ready
        self._metrics = metrics
        self._server: BoundedServer | None = None

    async def start(self, port: int, host: str = "0.0.0.0") -> int:  # noqa: S104 - the kubelet comes from outside
        """Listen; 0 picks a free port. Gives the port. Raises OSError."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._text)
        listening = socket.create_server((host, port))
        self._server = BoundedServer(app)
        await self._server.start(listening)
        return int(listening.getsockname()[1])

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.close()

    async def _healthz(self, _: web.Request) -> web.Response:
        problem = self._healthy()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._ready()
        return web.Response(text="ok" if ready else "waiting", status=200 if ready else 503)

    async def _text(self, _: web.Request) -> web.Response:
        return web.Response(text=self._metrics(), content_type="text/plain")
