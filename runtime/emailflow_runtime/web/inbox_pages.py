"""The inbox as pages for people: rendered here, complete without JavaScript.

A script only keeps the list fresh. Templates escape everything; what a mail holds is shown in a sandboxed
frame (mail_content) or as escaped text.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from emailflow_runtime.app.ports import Inbox, OpenedMessage
from emailflow_runtime.errors import Unavailable
from emailflow_runtime.web import formatting
from emailflow_runtime.web.links import links

PAGE_SIZE = 50
_SOURCE_SHOWN = 200_000
_BETWEEN_CHANGES = 0.2
"""Seconds; a burst of mails is told to a page as one change."""


class InboxPages:
    """The handlers of the pages, and of the stream that tells the list about changes."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(formatting.FILTERS)

    def routes(self) -> list[Route]:
        """The routes, absolute."""
        return [
            Route("/", self.home),
            Route("/inbox", self.messages),
            Route("/inbox/changes", self.changes),
            Route("/inbox/read", self.mark_all_read, methods=["POST"]),
            Route("/inbox/delete", self.delete_all, methods=["POST"]),
            Route("/inbox/{message_id}", self.message),
            Route("/inbox/{message_id}/delete", self.delete, methods=["POST"]),
        ]

    async def home(self, _request: Request) -> Response:
        """Lead to the inbox."""
        return RedirectResponse("/inbox", status_code=302)

    async def messages(self, request: Request) -> Response:
        """The list; `q` searches, `page` counts from 1."""
        query = request.query_params.get("q", "").strip()
        text = request.query_params.get("page", "1")
        number = max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 6 else 1
        start = (number - 1) * PAGE_SIZE
        position = self._inbox.position
        listed = self._inbox.messages(query=query, start=start, limit=PAGE_SIZE)
        return self._render(
            "inbox.html", listed=listed, query=query, number=number, start=start, position=position
        )

    async def message(self, request: Request) -> Response:
        """One message; `view` names the tab, `images=1` lets its HTML load remote pictures."""
        message = self._inbox.message(request.path_params["message_id"])
        if message is None:
            raise HTTPException(404, "This message isn't here any more.")
        self._inbox.mark_read([message.summary.id])
        found = links(message.html, message.text)
        tabs = _tabs(message, len(found))
        view = request.query_params.get("view", "")
        return self._render(
            "message.html",
            message=message,
            summary=message.summary,
            links=found,
            tabs=tabs,
            view=view if view in [name for name, _label, _count in tabs] else tabs[0][0],
            images=request.query_params.get("images") == "1",
            source=message.source[:_SOURCE_SHOWN].decode("utf-8", "replace"),
            source_cut=len(message.source) > _SOURCE_SHOWN,
        )

    async def changes(self, request: Request) -> Response:
        """Server-sent events: the inbox's position, whenever it has moved on from `after`."""
        text = request.headers.get("last-event-id") or request.query_params.get("after", "")
        position = int(text) if text.isascii() and text.isdecimal() and len(text) < 30 else 0
        return StreamingResponse(self._positions(position), media_type="text/event-stream")

    async def mark_all_read(self, _request: Request) -> Response:
        """Mark everything as read."""
        self._inbox.mark_read(None)
        return RedirectResponse("/inbox", status_code=303)

    async def delete_all(self, _request: Request) -> Response:
        """Empty the inbox."""
        self._inbox.delete(None)
        return RedirectResponse("/inbox", status_code=303)

    async def delete(self, request: Request) -> Response:
        """Delete one message."""
        self._inbox.delete([request.path_params["message_id"]])
        return RedirectResponse("/inbox", status_code=303)

    def explain(self, error: HTTPException) -> Response:
        """A page for what isn't there."""
        response = self._render("error.html", status=error.status_code, detail=error.detail)
        response.status_code = error.status_code
        return response

    async def _positions(self, position: int) -> AsyncIterator[str]:
        yield "retry: 1000\n\n"
        try:
            while True:
                position = await self._inbox.wait_for_change(position)
                yield f"id: {position}\ndata: {position}\n\n"
                await asyncio.sleep(_BETWEEN_CHANGES)
        except Unavailable:
            return

    def _render(self, name: str, **values: Any) -> HTMLResponse:
        return HTMLResponse(self._templates.get_template(name).render(values))


def _tabs(message: OpenedMessage, found_links: int) -> list[tuple[str, str, int]]:
    """Name, label and count (0: none shown) of the tabs that have something to show."""
    tabs = [
        ("html", "HTML", 0, bool(message.html)),
        ("text", "Text", 0, bool(message.text) or not message.html),
        ("links", "Links", found_links, found_links > 0),
        ("headers", "Headers", 0, True),
        ("source", "Source", 0, True),
        ("attachments", "Attachments", len(message.parts), bool(message.parts)),
    ]
    return [(name, label, count) for name, label, count, shown in tabs if shown]
