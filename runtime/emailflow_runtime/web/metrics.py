"""`/metrics`, for Prometheus: text, whole, made when asked."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_routes(page: Callable[[], Awaitable[bytes]]) -> list[Route]:
    """`/metrics`: what `page` gives."""

    async def metrics(_: Request) -> Response:
        return Response(await page(), headers={"content-type": CONTENT_TYPE})

    return [Route("/metrics", metrics)]
