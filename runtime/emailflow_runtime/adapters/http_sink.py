"""A runtime's receiver, as the sidecar sees it: events go out over HTTP with a token, outcomes come back.

One call is one try. Reasons and messages are the receiver's own, so that a producer reads the same words with
a sidecar as without. Binary mode where the event fits into headers, since it makes no body larger.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from emailflow_runtime.app.forwarding import Outcome
from emailflow_runtime.core.cloudevents import http
from emailflow_runtime.core.cloudevents.errors import TooLarge, UnsupportedMediaType
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import EmailFlowError, Forbidden, InvalidEvent, Overloaded, Unavailable

CONNECTIONS = 8
CONNECT_SECONDS = 3.0
TOTAL_SECONDS = 15.0
"""For one request: the receiver itself gives up earlier."""
LARGEST_ANSWER = 1 << 20

_REFUSALS: Mapping[int, type[EmailFlowError]] = {
    400: InvalidEvent,
    403: Forbidden,
    413: TooLarge,
    415: UnsupportedMediaType,
}


class SinkUnreachable(Unavailable):
    """The receiver does not answer, or what answers is no receiver."""

    reason = "SinkUnreachable"


class TokenUnreadable(Unavailable):
    """The file of the token is not there."""

    reason = "TokenUnreadable"


class TokenRefused(Unavailable):
    """The receiver doesn't know the token: its own configuration, or ours, has to change."""

    reason = "TokenRefused"


class HttpSink:
    """The port Sink. Use it as an async context manager."""

    def __init__(self, url: str, token: Path | None) -> None:
        """`url` ends in `/events`; without `token` (a file) none is sent."""
        self._url = url
        self._token = _TokenFile(token) if token else None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=TOTAL_SECONDS, connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Content-Type", "User-Agent"),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, events: Sequence[CloudEvent]) -> list[Outcome]:
        """See Sink."""
        outcomes = await self._send(events)
        if len(events) > 1 and isinstance(outcomes[0], InvalidEvent) and len(set(map(id, outcomes))) == 1:
            # The request was refused as a whole, a batch too large for one: what is each event's own fault?
            return [(await self._send([event]))[0] for event in events]
        return outcomes

    async def _send(self, events: Sequence[CloudEvent]) -> list[Outcome]:
        try:
            status, headers, body = await self._post(*_encoded(events))
        except Unavailable as error:
            return [error] * len(events)
        return _outcomes(status, headers, body, len(events))

    async def _post(self, headers: dict[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            raise SinkUnreachable("the sidecar is ending")
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.read()}"
        try:
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status, answer.headers, await answer.content.read(LARGEST_ANSWER)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = f"the runtime's receiver does not answer: {type(error).__name__}"
            raise SinkUnreachable(what, retry_after=2) from None


class _TokenFile:
    """The token as it is now: the kubelet replaces it well before it expires."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> str:
        """Raises TokenUnreadable."""
        try:
            return self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise TokenUnreadable(f"token file: can't be read: {type(error).__name__}") from None


def _encoded(events: Sequence[CloudEvent]) -> tuple[dict[str, str], bytes]:
    if len(events) > 1:
        headers, body = http.encode_batch(events)
    elif _fits_into_headers(events[0]):
        headers, body = http.encode_binary(events[0])
    else:
        headers, body = http.encode_structured(events[0])
    return {name.decode(): value.decode() for name, value in headers}, body


def _fits_into_headers(event: CloudEvent) -> bool:
    """Whether binary mode keeps all of it: headers know strings only."""
    return (event.datacontenttype or "").isascii() and all(
        isinstance(value, str) for value in event.extensions.values()
    )


def _outcomes(status: int, headers: Mapping[str, str], body: bytes, count: int) -> list[Outcome]:
    if status == 202:
        return [None] * count
    said = _json(body)
    pause = headers.get("Retry-After", "")
    retry_after = int(pause) if pause.isascii() and pause.isdigit() and len(pause) < 6 else 1
    if count > 1 and isinstance(said, list):
        by_index = {each.get("index"): each for each in said if isinstance(each, dict)}
        return [_outcome(_status(by_index.get(i)), by_index.get(i), retry_after) for i in range(count)]
    return [_outcome(status, said, retry_after)] * count


def _status(item: Any) -> int:
    status = item.get("status") if isinstance(item, dict) else None
    return status if isinstance(status, int) else 0


def _outcome(status: int, said: Any, retry_after: int) -> Outcome:
    if status == 202:
        return None
    words = said if isinstance(said, dict) else {}
    reason, message = words.get("reason"), words.get("message")
    text = message if isinstance(message, str) else f"the runtime's receiver answered {status}"
    if status == 429:
        error: EmailFlowError = Overloaded(text, retry_after=retry_after)
    elif status in _REFUSALS and isinstance(reason, str):
        error = _REFUSALS[status](text)
    elif status == 401:
        return TokenRefused(f"the runtime's receiver doesn't take the sidecar's token: {text}", retry_after=5)
    elif status in (408, 500, 502, 503, 504):
        error = Unavailable(text, retry_after=retry_after)
    else:
        return SinkUnreachable(f"expected a receiver at the sink, got an answer with {status}", retry_after=5)
    if isinstance(reason, str) and status != 500:
        error.reason = reason
    return error


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
