"""What the kubelet and Prometheus ask the operator: /healthz, /readyz, /metrics."""

from collections.abc import Callable

from aiohttp import web


class AdminServer:
    """Answers with what the three functions say at that moment."""

    def __init__(
        self, healthy: Callable[[], str], ready: Callable[[], bool], metrics: Callable[[], str]
    ) -> None:
        """`healthy` says what is wrong, and nothing when all is well."""
        self._healthy = healthy
        self._ready = ready
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, host: str = "0.0.0.0") -> int:  # noqa: S104 - the kubelet comes from outside
        """Listen; 0 picks a free port. Gives the port. Raises OSError."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._text)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        problem = self._healthy()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._ready()
        return web.Response(text="ok" if ready else "waiting", status=200 if ready else 503)

    async def _text(self, _: web.Request) -> web.Response:
        return web.Response(text=self._metrics(), content_type="text/plain")
