"""What comes in: the body of a request, within its limits of size and time, and who sent it.

Raises errors, decides nothing about events.
"""

from collections.abc import Mapping
from urllib.parse import parse_qs

from emailflow_runtime.adapters.http_door.asgi import Receive
from emailflow_runtime.adapters.http_door.errors import (
    BodyTimeout,
    ClientGone,
    TokenInQuery,
    Unauthorized,
    UnsupportedContentEncoding,
)
from emailflow_runtime.adapters.http_door.load import Share
from emailflow_runtime.adapters.http_door.patience import Patience
from emailflow_runtime.core.cloudevents.errors import TooLarge


async def read_body(
    headers: Mapping[bytes, bytes], receive: Receive, share: Share, *, max_bytes: int, patience: Patience
) -> bytes:
    """The whole body.

    Raises TooLarge before the first byte when Content-Length says so (a client that waits for `100 Continue`
    then sends none), else as soon as there are too many; BodyTimeout, ClientGone, Overloaded,
    UnsupportedContentEncoding. `share` counts what is held meanwhile.
    """
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedContentEncoding("Content-Encoding: expected identity, that is, no compression")
    # Digits are counted first: Python refuses to parse thousands of them.
    length = headers.get(b"content-length", b"")
    if length.isdigit() and (len(length) > 18 or int(length) > max_bytes):
        raise _too_large(max_bytes)
    try:
        return await patience.wait(_read(receive, share, max_bytes))
    except TimeoutError:
        raise BodyTimeout(f"body: expected all of it within {patience.seconds:g} seconds") from None


async def _read(receive: Receive, share: Share, max_bytes: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the client hung up before its request was complete")
        chunk = message.get("body", b"")
        if len(body) + len(chunk) > max_bytes:
            raise _too_large(max_bytes)
        share.grow(len(chunk))
        body += chunk
        if not message.get("more_body", False):
            return bytes(body)


def refuse_token_in_query(query: bytes) -> None:
    """Raises TokenInQuery for RFC 6750's `access_token` parameter, which URLs carry into logs."""
    if query and "access_token" in parse_qs(query.decode("latin-1"), keep_blank_values=True):
        raise TokenInQuery("access_token: expected the token in the Authorization header, not in the URL")


def bearer_token(headers: Mapping[bytes, bytes]) -> str:
    """The token of `Authorization: Bearer …` (RFC 6750 section 2.1). Raises Unauthorized without one."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise Unauthorized("Authorization: expected Bearer and a token")
    return token.strip().decode("latin-1")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"body: expected at most {max_bytes} bytes")
