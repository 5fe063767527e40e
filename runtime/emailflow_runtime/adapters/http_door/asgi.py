"""ASGI in types, and an answer as a value: what the door decides, before anything is sent.

Nothing here knows CloudEvents.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]


class Answer(NamedTuple):
    """A whole response; its length is added when it is sent."""

    status: int
    headers: Headers = ()
    body: bytes = b""

    async def send(self, send: Send) -> None:
        """Send it, in the two messages that ASGI wants."""
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})
