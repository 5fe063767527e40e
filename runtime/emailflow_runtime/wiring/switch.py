"""An HTTP server's application that comes later than the server: until then every answer is 503."""

from typing import Any


class Switch:
    """Answers 503 until `app` is there."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request (ASGI 3)."""
        if self.app is not None:
            await self.app(scope, receive, send)
            return
        headers = [(b"retry-after", b"1"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
