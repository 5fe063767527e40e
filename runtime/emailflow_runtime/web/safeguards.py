"""What protects a page on loopback from the other pages in the same browser.

The inbox has no login, so it must not be reachable through another site: neither under a foreign name (DNS
rebinding) nor by a foreign page's request (cross-site request forgery), and what a mail brings never runs.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "*.localhost", "127.0.0.1", "[::1]")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def safeguards(hosts: Sequence[str]) -> list[Middleware]:
    """The middleware of every page: known Host only, changes from our own pages only, strict headers.

    `hosts` are further names that the pages may be asked under, beside those of loopback.
    """
    return [
        Middleware(StrictHeaders),
        Middleware(TrustedHostMiddleware, allowed_hosts=[*LOOPBACK_NAMES, *hosts], www_redirect=False),
        Middleware(SameOrigin),
    ]


class StrictHeaders:
    """Adds the headers that a response doesn't set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _PAGE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class SameOrigin:
    """Refuses changes that a page of another origin asks for."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if (
            scope["type"] == "http"
            and scope["method"] not in _SAFE_METHODS
            and _is_foreign(Headers(scope=scope))
        ):
            refusal = JSONResponse(
                {"Error": "changes are for pages of the same origin only"}, status_code=403
            )
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser says that another site asks (Fetch Metadata; else Origin, RFC 6454 section 7).

    Without either header it is no browser, or a same-origin request of an old one.
    """
    if site := headers.get("sec-fetch-site"):
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")
