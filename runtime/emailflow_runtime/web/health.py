"""Liveness and readiness, for the kubelet and for people who wait for a start.

A probe that fails says why, in words that stand in no other answer: nothing here decides anything.
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Trouble = Callable[[], str]
"""What is wrong, in a few words; empty: nothing."""


def health_routes(waits_for: Trouble, broken: Trouble = str) -> list[Route]:
    """`/readyz` is 200 while it accepts, decides and sends, so while it `waits_for` nothing. `/healthz` is
    200 unless it is `broken` in a way that only a restart mends."""

    async def healthz(_: Request) -> Response:
        return _answer("broken", broken())

    async def readyz(_: Request) -> Response:
        return _answer("waiting", waits_for())

    return [Route("/healthz", healthz), Route("/readyz", readyz)]


def _answer(status: str, trouble: str) -> Response:
    if not trouble:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": status, "for": trouble}, status_code=503)
