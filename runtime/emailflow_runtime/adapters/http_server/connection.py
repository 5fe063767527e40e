"""One connection: uvicorn's, with a bound on the bytes and the time of whatever a client sends.

uvicorn and its parser take headers, trailers, URLs and pipelined requests without end, and wait for them
without end. Here everything is counted that has come since the parser last gave something on.
"""

import logging
from asyncio import Transport
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from emailflow_runtime.adapters.http_server import refusals
from emailflow_runtime.adapters.http_server.crowd import Crowd
from emailflow_runtime.adapters.http_server.limits import ServerLimits
from emailflow_runtime.adapters.http_server.refusals import Refusal, Refused

log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """The protocol that uvicorn makes for each connection."""

    def __init__(self, crowd: Crowd, limits: ServerLimits, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._crowd = crowd
        self._limits = limits
        self._held = 0
        """Bytes since the parser last gave something on: head, trailers, extensions of chunks."""
        self._incoming = False
        """A request has begun and is not complete."""
        self._in_head = False
        self._began = self.loop.time()
        """When the request began, or when there was nothing any more."""
        self._running: RequestResponseCycle | None = None
        """The request that is being answered; `cycle` is the last one that has come."""
        self._is_deaf = False
        """What comes is dropped."""
        self._dropped = 0
        self._told_at: float | None = None
        """Since when the client has had its last answer."""
        self._stuck_since: float | None = None

    # --- for the crowd ------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """See Guest."""
        return self.client[0] if self.client else ""

    @property
    def is_idle(self) -> bool:
        """See Guest."""
        return not self._incoming and not self._answering and not self._is_deaf

    def leave(self) -> None:
        """See Guest."""
        self.transport.close()

    def look(self, now: float) -> None:
        """See Guest."""
        if self._told_at is not None:
            if now - self._told_at > self._limits.drain_seconds:
                self.transport.abort()
        elif self.transport.is_closing() or self.flow.write_paused:
            # The client doesn't read its answer.
            self._stuck_since = now if self._stuck_since is None else self._stuck_since
            if now - self._stuck_since > self._limits.request_seconds:
                self.transport.abort()
        else:
            self._stuck_since = None
            if self.flow.read_paused:
                self._began = now
            elif not self._is_deaf:
                self._look_at_the_clock(now - self._began)

    def _look_at_the_clock(self, age: float) -> None:
        if self._incoming:
            if age > (self._limits.head_seconds if self._in_head else self._limits.request_seconds):
                self._refuse(refusals.TOO_SLOW)
        elif not self._answering and age > self._limits.head_seconds:
            self.leave()

    @property
    def _answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    # --- the transport's ----------------------------------------------------------------------------

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        if not self._crowd.join(self, self.loop.time()):
            self._is_deaf = True
            transport.write(refusals.TOO_MANY_CONNECTIONS.encoded())
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._crowd.part(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and count it."""
        if self._is_deaf:
            self._dropped += len(data)
            if self._dropped > self._limits.drain_bytes:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        self._held += len(data)
        try:
            self.parser.feed_data(data)
            if self._incoming:
                self._check_counts()
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here, and what follows may be one: this answer is the last.
            self._finish()
        except Refused as refused:
            self._refuse(refused.refusal)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause.refusal if isinstance(cause, Refused) else refusals.MALFORMED)
        else:
            if self._held > self._limits.head_bytes:
                self._refuse(refusals.HEAD_TOO_LARGE)

    # --- the parser's -------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if len(self.pipeline) >= self._limits.pipelined:
            raise Refused(refusals.TOO_MANY_PIPELINED)
        self._incoming = self._in_head = True
        self._began = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there: now it can be told how large it was, whatever came with it."""
        self._check_counts()
        most = self._limits.head_bytes
        if self._held > most and len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers) > most:
            raise Refused(refusals.HEAD_TOO_LARGE)
        self._held = 0
        super().on_headers_complete()
        self._in_head = False
        # Trailers are no headers, and nothing here wants them.
        self.headers = []

    def _check_counts(self) -> None:
        """Of a head as far as it has come, or of trailers. Raises Refused."""
        if len(self.url) > self._limits.url_bytes:
            raise Refused(refusals.URL_TOO_LONG)
        if len(self.headers) > self._limits.headers:
            raise Refused(refusals.HEAD_TOO_LARGE)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._held = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The last byte of a request."""
        self._held = 0
        self._incoming = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The last byte of an answer."""
        if not self._incoming:
            self._began = self.loop.time()
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # --- ending -------------------------------------------------------------------------------------

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, where nothing else is being said, and read no more."""
        log.debug("a request is refused [%s]", refusal.reason)
        if self._incoming and not self._in_head:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle is self._running:
                self._end(None if self.cycle.response_started else refusal)
                return
            # Those before it are answered, it isn't.
            self.pipeline.popleft()
        if self._answering:
            self._finish()
        else:
            self._end(refusal)

    def _finish(self) -> None:
        """Answer what is complete, then end."""
        self._is_deaf = True
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is None or last.response_complete:
            self._end(None)
        else:
            last.keep_alive = False

    def _end(self, refusal: Refusal | None) -> None:
        self._is_deaf = True
        if refusal is None or self.transport.is_closing():
            self.transport.close()
            return
        # Closing with something unread can take the answer back, so it is read on until the client has gone.
        self._told_at = self.loop.time()
        self.transport.write(refusal.encoded())
        self.transport.write_eof()
