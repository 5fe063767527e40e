"""Liveness and readiness, for probes and for people who wait for a start."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def health_routes(ready: Callable[[], bool]) -> list[Route]:
    """`/healthz`: the process answers. `/readyz`: it accepts, decides and sends; 503 while it doesn't."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        is_ready = ready()
        return JSONResponse({"status": "ok" if is_ready else "waiting"}, status_code=200 if is_ready else 503)

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
