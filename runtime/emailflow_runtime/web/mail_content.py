"""What a stranger's mail holds, served so that it can be looked at and never acts.

Every response carries its own policy with `sandbox`: no script, no form, no plug-in, an origin of its own,
also when it is opened outside of the message page's frame (which is sandboxed, too).
"""

import base64
import re
from urllib.parse import quote, unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from emailflow_runtime.app.ports import Inbox, MessagePart, OpenedMessage

_CONTENT_ID = re.compile(r"""cid:([^"'\s)>]+)""", re.IGNORECASE)
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")
# A click can't leave the sandbox; without this it would replace the mail by the browser's refusal.
_LINKS_GO_NOWHERE = '<base target="_blank">'


class MailContent:
    """Bodies, source and parts of messages, under the addresses that Mailpit gives them."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def routes(self) -> list[Route]:
        """The routes, absolute."""
        return [
            Route("/view/{message_id}.html", self.html),
            Route("/view/{message_id}.txt", self.text),
            Route("/api/v1/message/{message_id}/raw", self.source),
            Route("/api/v1/message/{message_id}/part/{part_id}", self.part),
        ]

    async def html(self, request: Request) -> Response:
        """The HTML body; `?images=1` lets it load remote pictures."""
        message = self._message(request)
        if not message.html:
            raise HTTPException(404, "the message has no HTML body")
        pictures = "data: http: https:" if request.query_params.get("images") == "1" else "data:"
        body = with_inline_pictures(message.html, message.parts) + _LINKS_GO_NOWHERE
        return Response(body, media_type="text/html", headers=_sandboxed(pictures))

    async def text(self, request: Request) -> Response:
        """The text body."""
        return PlainTextResponse(self._message(request).text, headers=_sandboxed())

    async def source(self, request: Request) -> Response:
        """The mail as it came."""
        return PlainTextResponse(self._message(request).source, headers=_sandboxed())

    async def part(self, request: Request) -> Response:
        """One file, as a download."""
        parts = {part.id: part for part in self._message(request).parts}
        part = parts.get(request.path_params["part_id"])
        if part is None:
            raise HTTPException(404, "the message has no such part")
        disposition = f"attachment; filename*=UTF-8''{quote(part.file_name, safe='')}"
        headers = {**_sandboxed(), "Content-Disposition": disposition, "Content-Type": _media_type(part)}
        return Response(part.content, headers=headers)

    def _message(self, request: Request) -> OpenedMessage:
        message = self._inbox.message(request.path_params["message_id"])
        if message is None:
            raise HTTPException(404, "no such message")
        return message


def with_inline_pictures(html: str, parts: tuple[MessagePart, ...]) -> str:
    """The HTML with its `cid:` pictures (RFC 2392) put in as `data:` URLs, so that it asks for nothing."""
    pictures = {part.content_id: part for part in parts if part.content_type.startswith("image/")}

    def data_url(reference: re.Match[str]) -> str:
        picture = pictures.get(unquote(reference[1]))
        if picture is None:
            return reference[0]
        return f"data:{_media_type(picture)};base64,{base64.b64encode(picture.content).decode()}"

    return _CONTENT_ID.sub(data_url, html) if pictures else html


def _sandboxed(pictures: str = "data:") -> dict[str, str]:
    """The headers of content that may be shown and may not act. `pictures` are sources of images."""
    policy = (
        f"sandbox; default-src 'none'; style-src 'unsafe-inline'; font-src data:; img-src {pictures}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
    return {"Content-Security-Policy": policy, "X-DNS-Prefetch-Control": "off"}


def _media_type(part: MessagePart) -> str:
    """The type that the sender named, if it is one at all: it goes into a header."""
    return part.content_type if _MEDIA_TYPE.fullmatch(part.content_type) else "application/octet-stream"
