"""The inbox as JSON, in the paths and shapes of Mailpit's API v1.

Tests of people's own services read their mails here, so what Mailpit's clients send must work as it is.
"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from emailflow_runtime.app.ports import Inbox, OpenedMessage
from emailflow_runtime.web import mailpit_shapes

_MOST_LISTED = 10_000


class _Selection(msgspec.Struct):
    """The body of a change. No ids: all messages."""

    ids: list[str] = msgspec.field(default_factory=list, name="IDs")
    read: bool = msgspec.field(default=False, name="Read")


class MailpitApi:
    """The handlers of /api/v1."""

    def __init__(self, inbox: Inbox, *, version: str) -> None:
        self._inbox = inbox
        self._version = version

    def routes(self) -> list[Route]:
        """The routes, absolute."""
        return [
            Route("/api/v1/info", self.info),
            Route("/api/v1/messages", self.messages, methods=["GET"]),
            Route("/api/v1/messages", self.mark, methods=["PUT"]),
            Route("/api/v1/messages", self.delete, methods=["DELETE"]),
            Route("/api/v1/search", self.search),
            Route("/api/v1/message/{message_id}", self.message),
            Route("/api/v1/message/{message_id}/headers", self.headers),
        ]

    async def info(self, _request: Request) -> Response:
        """Version and counts."""
        page = self._inbox.messages(limit=0)
        counts = {"Messages": page.total, "Unread": page.unread, "Tags": {}}
        return JSONResponse({"Version": self._version, **counts})

    async def messages(self, request: Request) -> Response:
        """A stretch of the inbox, newest first: `start` (0) and `limit` (50)."""
        return self._page(request, query="")

    async def search(self, request: Request) -> Response:
        """As `messages`, of those that match `query`."""
        query = request.query_params.get("query", "").strip()
        if not query:
            raise HTTPException(400, "query: missing (expected words to look for)")
        return self._page(request, query=query)

    async def message(self, request: Request) -> Response:
        """The whole message, which then counts as read, as in Mailpit."""
        message = self._message(request)
        self._inbox.mark_read([message.summary.id])
        return JSONResponse(mailpit_shapes.whole(message))

    async def headers(self, request: Request) -> Response:
        """The header fields."""
        return JSONResponse(mailpit_shapes.headers(self._message(request)))

    async def mark(self, request: Request) -> Response:
        """Mark messages as read or unread."""
        selection = _selection(await request.body())
        self._inbox.mark_read(selection.ids or None, read=selection.read)
        return PlainTextResponse("ok")

    async def delete(self, request: Request) -> Response:
        """Delete messages."""
        self._inbox.delete(_selection(await request.body()).ids or None)
        return PlainTextResponse("ok")

    def _page(self, request: Request, *, query: str) -> Response:
        start = _count(request, "start", 0)
        limit = min(_count(request, "limit", 50), _MOST_LISTED)
        page = self._inbox.messages(query=query, start=start, limit=limit)
        return JSONResponse(mailpit_shapes.page(page, start))

    def _message(self, request: Request) -> OpenedMessage:
        message = self._inbox.message(request.path_params["message_id"])
        if message is None:
            raise HTTPException(404, "no such message")
        return message


def explain(error: HTTPException) -> Response:
    """What went wrong, as Mailpit says it."""
    return JSONResponse({"Error": error.detail}, status_code=error.status_code, headers=error.headers)


def _selection(body: bytes) -> _Selection:
    try:
        return msgspec.json.decode(body or b"{}", type=_Selection)
    except msgspec.DecodeError as error:
        raise HTTPException(400, f"body: {error} (expected a JSON object with IDs)") from error


def _count(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise HTTPException(400, f"{name}: {text} (expected a whole number, 0 or more)")
    return int(text)
