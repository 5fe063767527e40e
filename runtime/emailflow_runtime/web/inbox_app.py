"""The web application of the inbox: pages, JSON and the mails' content behind one set of safeguards.

It shows what the port `Inbox` holds; it doesn't know where mails come from.
"""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from emailflow_runtime.app.ports import Inbox
from emailflow_runtime.web import mailpit_api
from emailflow_runtime.web.inbox_pages import InboxPages
from emailflow_runtime.web.mail_content import MailContent
from emailflow_runtime.web.safeguards import safeguards


def inbox_app(inbox: Inbox, *, hosts: Sequence[str] = ()) -> Starlette:
    """The inbox as an ASGI application that owns its whole path space from `/`.

    It answers under the names of loopback, and under `hosts` (`*.example.com` is any name below). Streams
    of changes end when the inbox closes: close it before the server waits for its connections.
    """
    pages = InboxPages(inbox)
    api = mailpit_api.MailpitApi(inbox, version=version("emailflow"))

    async def explain(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if request.url.path.startswith(("/api/", "/view/")):
            return mailpit_api.explain(error)
        return pages.explain(error)

    return Starlette(
        routes=[
            *pages.routes(),
            *api.routes(),
            *MailContent(inbox).routes(),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=safeguards(hosts),
        exception_handlers={HTTPException: explain},
    )
