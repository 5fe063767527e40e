"""What a client is told that goes beyond the server's limits: the status, and a reason, as everywhere."""

import json
from typing import NamedTuple


class Refusal(NamedTuple):
    """An answer that ends the connection."""

    status: int
    phrase: str
    reason: str
    message: str

    def encoded(self) -> bytes:
        """The whole response."""
        body = json.dumps({"reason": self.reason, "message": self.message}).encode()
        retry = "retry-after: 1\r\n" if self.status == 503 else ""
        head = (
            f"HTTP/1.1 {self.status} {self.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
        )
        return head.encode() + body


MALFORMED = Refusal(400, "Bad Request", "MalformedRequest", "expected a request of HTTP/1.1")
TOO_SLOW = Refusal(408, "Request Timeout", "RequestTimeout", "the request did not come in time")
URL_TOO_LONG = Refusal(414, "URI Too Long", "UrlTooLong", "the URL is too long")
HEAD_TOO_LARGE = Refusal(
    431,
    "Request Header Fields Too Large",
    "HeadersTooLarge",
    "headers or trailers: too large, or too many",
)
TOO_MANY_PIPELINED = Refusal(
    429, "Too Many Requests", "Overloaded", "too many requests wait on this connection"
)
TOO_MANY_CONNECTIONS = Refusal(503, "Service Unavailable", "TooManyConnections", "too many connections")


class Refused(Exception):
    """Stops the parser."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
