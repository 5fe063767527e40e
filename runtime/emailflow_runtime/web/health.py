"""Liveness and readiness, for the kubelet and for people who wait for a start.

A probe that fails says why: nothing here decides anything.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Trouble = Callable[[], str]
"""What is wrong, in a few words; empty: nothing."""


def health_routes(waits_for: Trouble, stuck_in: Trouble = lambda: "") -> list[Route]:
    """`/readyz` is 200 while it `waits_for` nothing. `/healthz` is 200 when it is answered, by the event loop
    that does all the work, unless the process is `stuck_in` something that a restart mends. Nothing that
    NATS or a provider does belongs there."""

    async def healthz(_: Request) -> Response:
        if trouble := stuck_in():
            return JSONResponse({"status": "stuck", "in": trouble}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        if trouble := waits_for():
            return JSONResponse({"status": "waiting", "for": trouble}, status_code=503)
        return JSONResponse({"status": "ok"})

    return [Route("/healthz", healthz), Route("/readyz", readyz)]
