"""The pages behind the links in mails. A GET shows and changes nothing, since scanners follow links; a POST
unsubscribes at once, without a login or a question (RFC 8058 section 3.2).
"""

from html import escape
from typing import Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from emailflow_runtime.core.links import UNSUBSCRIBE, Link
from emailflow_runtime.errors import LinkExpired, Unavailable, WrongPurpose

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The address of the page is a token: nobody else should learn it.
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_STYLE = (
    "body{font:18px/1.5 system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1.5rem}"
    "button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#4f46e5;color:#fff}"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body><h1>{title}</h1>{body}</body>
</html>"""


class Links(Protocol):
    """What following a link does."""

    def read(self, token: str) -> Link | None:
        """The link of a token, None when it isn't one of ours. Raises LinkExpired."""

    def to_unsubscribe(self, link: Link) -> str:
        """The token of the link that unsubscribes whom another one is about."""

    async def unsubscribe(self, link: Link) -> None:
        """Return when it is on disk. Raises WrongPurpose, Unavailable."""


def link_routes(links: Links) -> list[Route]:
    """`/l/{token}`: a GET shows what the link is for, a POST unsubscribes where that is what it is for."""

    async def show(request: Request) -> Response:
        token = request.path_params["token"]
        try:
            link = links.read(token)
        except LinkExpired:
            return _expired()
        if link is None:
            return _unknown()
        if link.purpose == "view":
            return _page("Not here", "<p>This mail can't be shown in a browser.</p>", 404)
        topic = "mails" if link.topic == "*" else f"mails about {escape(link.topic)}"
        # A preference page changes nothing itself, but leads to the link that does.
        target = token if link.purpose == UNSUBSCRIBE else links.to_unsubscribe(link)
        button = f'<form method="post" action="{escape(target)}"><button>Unsubscribe</button></form>'
        return _page("Unsubscribe", f"<p>No more {topic} to this address?</p>{button}")

    async def follow(request: Request) -> Response:
        try:
            link = links.read(request.path_params["token"])
            if link is None:
                return _unknown()
            await links.unsubscribe(link)
        except LinkExpired:
            return _expired()
        except WrongPurpose:
            page = _page("Not changed", "<p>This link shows something, and changes nothing.</p>", 405)
            page.headers["Allow"] = "GET, HEAD"
            return page
        except Unavailable as away:
            page = _page("Not now", "<p>This could not be stored. Please try again in a minute.</p>", 503)
            page.headers["Retry-After"] = str(away.retry_after)
            return page
        return _page("Unsubscribed", "<p>You will get no more of these mails.</p>")

    return [
        Route("/l/{token}", show, methods=["GET"]),
        Route("/l/{token}", follow, methods=["POST"]),
    ]


def _unknown() -> Response:
    return _page("Unknown link", "<p>This link is not complete, or too old.</p>", 400)


def _expired() -> Response:
    text = "<p>This link is too old. The one to unsubscribe, in the same mail, still works.</p>"
    return _page("Too old", text, 410)


def _page(title: str, body: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(title=title, style=_STYLE, body=body), status, headers=_HEADERS)
