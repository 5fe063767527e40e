"""The short way through the client library: many frames written at once, messages taken as they arrive.

nats-py costs 10 us to publish a message with headers and 38 us to deliver one; that is most of what a mail
may cost. Connecting, authenticating, TLS and reconnecting stay the library's. Beside `emailflow_nats` this is
the only module that knows its inside; tests/integration/jetstream/test_wire.py holds it to what the library
does.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError

from emailflow_nats.abrupt import AbruptEnd
from emailflow_runtime.errors import Unavailable

_VERSION = "NATS/1.0"


class Arrived(NamedTuple):
    """A message. The status line of the server's own messages is the header `Status`."""

    subject: str
    reply: str
    headers: Mapping[str, str]
    data: bytes


Take = Callable[[Arrived], None]
_NO_HEADERS: Mapping[str, str] = {}


def read_headers(block: bytes) -> dict[str, str]:
    """The headers in a block as the server sends it, the status line's code as `Status`."""
    first, *lines = block.decode(errors="surrogateescape").split("\r\n")
    headers = {"Status": first[9:12]} if len(first) > len(_VERSION) else {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return headers


def frame(subject: str, data: bytes, headers: Mapping[str, str], *, more: str = "", reply: str = "") -> bytes:
    """A message as it is written. `more` is header lines, each with its line end.

    Raises ValueError for a header that would be more than one line.
    """
    to = f"{subject} {reply}" if reply else subject
    if not headers and not more:
        return b"PUB %b %d\r\n%b\r\n" % (to.encode(), len(data), data)
    head = f"{_VERSION}\r\n{_lines(headers)}{more}\r\n".encode()
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (to.encode(), len(head), len(head) + len(data), head, data)


def _lines(headers: Mapping[str, str]) -> str:
    if not headers:
        return ""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError("a header of a NATS message has to be one line")
    return lines


class Listening(NamedTuple):
    """A subscription to `inbox`."""

    inbox: str
    subscription: Any


class Wire:
    """Frames out, messages in, on a client's connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._takers: dict[int, Take] = {}
        self._others = client._process_msg
        client._process_msg = self._deliver  # type: ignore[method-assign]
        self._end = AbruptEnd(client)
        self._answers: Listening | None = None
        self._opening = asyncio.Lock()
        self._expected: dict[str, Take] = {}
        self._asked = 0
        self.heard = False
        """Set whenever a message is taken; whoever wants to know sets it back."""

    async def _deliver(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        take = self._takers.get(sid)
        if take is None:
            await self._others(sid, subject, reply, data, headers)
            return
        self.heard = True
        read = read_headers(headers) if headers else _NO_HEADERS
        take(Arrived(subject.decode(), reply.decode(), read, data))

    def cut(self) -> None:
        """Leave the connection as it is, with all that has not been written."""
        self._end.cut()

    async def listen(self, take: Take, suffix: str = "") -> Listening:
        """Have `take` called with every message to a new inbox (and `suffix`), at once as it arrives."""
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(inbox + suffix)
        self._takers[subscription._id] = take
        return Listening(inbox, subscription)

    async def stop(self, listening: Listening) -> None:
        """Take no more of its messages."""
        self._takers.pop(listening.subscription._id, None)
        # The library refuses when it is not connected; then it has nothing to tell the server either.
        with contextlib.suppress(NatsError):
            await listening.subscription.unsubscribe()

    async def send(self, frames: bytes) -> None:
        """Hand frames over to be written. Raises Unavailable when there is no connection.

        They are not kept for the next one: they would come when nobody waits for them any more.
        """
        if not self._client.is_connected:
            raise Unavailable("NATS is not connected")
        try:
            await self._client._send_command(frames)
            queue = self._client._flush_queue
            if queue is not None and queue.empty():
                await self._client._flush_pending()
        except (NatsError, OSError) as error:
            raise Unavailable(f"NATS took nothing: {type(error).__name__}") from error

    async def expect(self) -> tuple[str, "asyncio.Future[Arrived]"]:
        """Where an answer may be sent to, and the answer. `unexpect` it in the end."""
        answer: asyncio.Future[Arrived] = asyncio.get_running_loop().create_future()

        def take(message: Arrived) -> None:
            if not answer.done():
                answer.set_result(message)

        return await self.expect_many(take), answer

    async def expect_many(self, take: Take) -> str:
        """Where answers may be sent to, each of which `take` is called with. `unexpect` them in the end.

        All share one subscription: one for each question costs both sides more than its answers.
        """
        if self._answers is None:
            async with self._opening:
                if self._answers is None:
                    self._answers = await self.listen(self._answered, ".*")
        self._asked += 1
        subject = f"{self._answers.inbox}.{self._asked}"
        self._expected[subject] = take
        return subject

    def unexpect(self, subject: str) -> None:
        """An answer that comes later is nobody's."""
        self._expected.pop(subject, None)

    def _answered(self, message: Arrived) -> None:
        if (take := self._expected.get(message.subject)) is not None:
            take(message)
