"""One TCP connection that runs dialogues, one after the other.

It moves octets between the socket and a dialogue and knows nothing of SMTP. Callbacks drive the dialogue,
so that a mail costs no more turns of the event loop than the server has round trips.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from emailflow_runtime.core.smtp.dialogue import FLUSHED, Dialogue, Flush
from emailflow_runtime.core.smtp.errors import (
    ConnectionLost,
    ConversationEnded,
    InvalidReply,
    NotSent,
    TimedOut,
)
from emailflow_runtime.core.smtp.reply import ReplyReader

Result = TypeVar("Result")


class Connection(asyncio.Protocol):
    """A connection to one server. Not to be shared: `converse` is for one caller at a time."""

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader = ReplyReader()
        self._dialogue: Dialogue[Any] | None = None
        self._result: asyncio.Future[Any] = loop.create_future()
        self._flushing = False
        self._give_up_at = float("inf")
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = 0.0
        self._ended: ConversationEnded | None = None
        self._closed: asyncio.Future[None] = loop.create_future()
        self._early: bytes | None = b""
        """What the server said before the first dialogue: it greets as soon as it is connected to."""

    @property
    def open(self) -> bool:
        """Whether a dialogue may begin."""
        return self._ended is None

    @property
    def local_address(self) -> str:
        """This end's IP address."""
        return str(self._transport.get_extra_info("sockname")[0])

    async def converse(self, dialogue: Dialogue[Result], *, give_up_at: float) -> Result:
        """Run the dialogue to its end and return its result, or raise what it raises.

        At `give_up_at` (the loop's clock) TimedOut is thrown into it and the connection is dropped. Nothing
        is sent after it, also by a process that was paused: what the server said meanwhile comes first then.
        """
        result: asyncio.Future[Result] = self._loop.create_future()
        self._dialogue, self._result, self._give_up_at = dialogue, result, give_up_at
        self._set_alarm()
        try:
            self._advance(partial(next, dialogue))
            early, self._early = self._early, None
            if early:
                self.data_received(early)
            return await result
        finally:
            if self._dialogue is not None:
                self._dialogue = None
                self.abort()

    async def upgrade(self, context: ssl.SSLContext, host: str) -> None:
        """Go on in TLS. Raises OSError (ssl.SSLError, ConnectionError).

        Also when octets in clear came after the reply to STARTTLS: they may be somebody else's, and none is
        ever read (RFC 3207 section 6).
        """
        if self._ended is not None:
            raise ConnectionAbortedError(str(self._ended))
        upgraded = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        if upgraded is None:
            raise ConnectionAbortedError("the connection was lost before TLS")
        self._transport = upgraded

    async def close(self) -> None:
        """Close, and return when that is done."""
        self._transport.close()
        await self._closed

    def abort(self) -> None:
        """Drop the connection at once."""
        self._end(ConnectionLost("the connection was dropped"))

    # --- what asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._early is not None:
            self._early += data
            return
        try:
            replies = self._reader.feed(data)
        except InvalidReply as error:
            self._end(error)
            return
        for reply in replies:
            if self._dialogue is None:
                break
            self._advance(partial(self._dialogue.send, reply))
        else:
            if self._dialogue is not None or not self._reader.pending:
                return
        self._end(InvalidReply("the server spoke unasked"))

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        if self._flushing and self._dialogue is not None:
            self._advance(partial(self._dialogue.send, FLUSHED))

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end(ConnectionLost(str(exc) if exc else "the server closed the connection"))
        if not self._closed.done():
            self._closed.set_result(None)

    # --- time --------------------------------------------------------------------------------------

    def _set_alarm(self) -> None:
        """Have `_ring` called at `give_up_at` or before. One alarm lasts for many dialogues, since each may
        take half a minute and takes a few milliseconds."""
        if self._alarm is not None:
            if self._alarm_at <= self._give_up_at:
                return
            self._alarm.cancel()
        self._alarm_at = self._give_up_at
        self._alarm = self._loop.call_at(self._alarm_at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._dialogue is None:
            return
        if self._alarm_at < self._give_up_at:
            self._set_alarm()
        else:
            self._end(TimedOut("the server took too long to answer"))

    # --- the dialogue ------------------------------------------------------------------------------

    def _advance(self, resume: Callable[[], bytes | Flush]) -> None:
        """Let the dialogue go on, and send what it says."""
        self._flushing = False
        try:
            said = resume()
            while self._ended is not None and self._dialogue is not None:
                said = self._dialogue.throw(self._ended)
        except StopIteration as end:
            self._dialogue = None
            if not self._result.done():
                self._result.set_result(end.value)
        except Exception as error:  # noqa: BLE001 # `converse` raises it
            self._dialogue = None
            if not self._result.done():
                self._result.set_exception(error)
        else:
            self._send(said)

    def _send(self, said: bytes | Flush) -> None:
        # Not the loop's time: that may be from before the pause.
        if time.monotonic() >= self._give_up_at:
            self._end(NotSent("the time for it had passed"))
            return
        if isinstance(said, bytes):
            self._transport.write(said)
            return
        # With this limit asyncio says when the last octet has left.
        self._transport.set_write_buffer_limits(0)
        self._flushing = True
        self._transport.write(said.content)
        if not self._transport.get_write_buffer_size():
            self._loop.call_soon(self.resume_writing)

    def _end(self, error: ConversationEnded) -> None:
        """No more replies: tell the dialogue."""
        if self._ended is not None:
            return
        self._ended = error
        if self._alarm is not None:
            self._alarm.cancel()
        self._transport.abort()
        if self._dialogue is not None:
            self._advance(partial(self._dialogue.throw, error))
