"""The door itself: one path, two methods, and an answer to everything.

It decides nothing about an event but whether it is one; the Ingest port does the rest.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from emailflow_runtime.adapters.http_door.answers import Outcome, answer, batch_answer
from emailflow_runtime.adapters.http_door.asgi import Answer, AsgiApp, Receive, Scope, Send
from emailflow_runtime.adapters.http_door.errors import (
    ClientGone,
    MethodNotAllowed,
    NotFound,
    ReceiverClosed,
)
from emailflow_runtime.adapters.http_door.handshake import handshake
from emailflow_runtime.adapters.http_door.load import Load
from emailflow_runtime.adapters.http_door.patience import Patience
from emailflow_runtime.adapters.http_door.requests import bearer_token, read_body, refuse_token_in_query
from emailflow_runtime.adapters.http_door.tokens import Anonymous, TokenVerifier
from emailflow_runtime.app.ports import Ingest
from emailflow_runtime.core.cloudevents import http
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.cloudevents.json_format import RejectedItem
from emailflow_runtime.errors import EmailFlowError

PATH = "/events"

logger = logging.getLogger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """How much the door takes at once."""

    max_body_bytes: int = 262_144
    max_batch_items: int = 1_000
    max_requests: int = 1_024
    """Requests in flight; one more is told to come again."""
    max_bytes: int = 33_554_432
    """Of all bodies in flight together; what goes beyond is told to come again. A body is held up to four
    times on its way: as it came, as data, as a message, and in what is being sent."""
    body_seconds: float = 10.0
    """How long a body may take to arrive."""


_DEFAULT_LIMITS = Limits()


class HttpDoor:
    """An ASGI application that takes CloudEvents at `/events` and leaves other paths to `fallback`."""

    def __init__(
        self,
        ingest: Ingest,
        *,
        limits: Limits = _DEFAULT_LIMITS,
        tokens: TokenVerifier | Anonymous | None = None,
        fallback: AsgiApp | None = None,
        note_refusal: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Without `tokens` nobody is let in: there is nothing to verify them by.

        `note_refusal` hears the reason of everything that is refused before it reaches `ingest`.
        """
        self._ingest = ingest
        self._limits = limits
        self._tokens = tokens
        self._fallback = fallback
        self._note_refusal = note_refusal
        self._patience = Patience(limits.body_seconds)
        self._load = Load(max_requests=limits.max_requests, max_bytes=limits.max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI 3). Nothing raised in here reaches the client, or the server."""
        if scope["type"] == "http" and (scope["path"] == PATH or self._fallback is None):
            if (reply := await self._reply(scope, receive)) is not None:
                await reply.send(send)
        elif self._fallback is not None:
            await self._fallback(scope, receive, send)

    async def _reply(self, scope: Scope, receive: Receive) -> Answer | None:
        try:
            return await self._serve(scope, receive)
        except ClientGone:
            return None
        except EmailFlowError as error:
            self._note_refusal(error.reason)
            return answer(error)
        except Exception:
            logger.exception("A request failed")
            return answer(EmailFlowError())

    async def _serve(self, scope: Scope, receive: Receive) -> Answer:
        if scope["path"] != PATH:
            raise NotFound(f"path: expected {PATH}")
        headers = dict(scope["headers"])
        if scope["method"] == "OPTIONS":
            return handshake(headers)
        if scope["method"] != "POST":
            raise MethodNotAllowed("method: expected POST or OPTIONS")
        with self._load.request() as share:
            await self._authorize(scope, headers)
            body = await read_body(
                headers,
                receive,
                share,
                max_bytes=self._limits.max_body_bytes,
                patience=self._patience,
            )
            return await self._take(scope, body)

    async def _authorize(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        refuse_token_in_query(scope["query_string"])
        if self._tokens is None:
            raise ReceiverClosed("this receiver has nothing to verify a token by, so it lets nobody in")
        if not isinstance(self._tokens, Anonymous):
            await self._tokens.verify(bearer_token(headers))

    async def _take(self, scope: Scope, body: bytes) -> Answer:
        decoded = http.decode(scope["headers"], body, max_items=self._limits.max_batch_items)
        if isinstance(decoded, CloudEvent):
            return answer(await self._hand_in(decoded))
        # All at once, so that one group commit can carry the whole batch.
        outcomes = await asyncio.gather(*map(self._hand_in, decoded))
        return batch_answer([item.id for item in decoded], outcomes)

    async def _hand_in(self, item: CloudEvent | RejectedItem) -> Outcome:
        if isinstance(item, RejectedItem):
            self._note_refusal(item.error.reason)
            return item.error
        try:
            await self._ingest.accept(item)
        except EmailFlowError as error:
            return error
        except Exception:
            logger.exception("An event could not be handed in")
            return EmailFlowError()
        return None
