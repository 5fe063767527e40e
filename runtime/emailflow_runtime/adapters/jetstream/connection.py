"""One connection to NATS, and JetStream's API over it with a deadline on every request.

Reconnecting is the client library's; whoever waits for an answer gets Unavailable instead of waiting
for ever.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from emailflow_runtime.errors import EmailFlowError, Unavailable

TIMEOUT = 5.0
"""Seconds that a request may take."""
EPOCH_LOST = 10071
TRY_AGAIN = 10164

log = logging.getLogger(__name__)


class JetStreamError(EmailFlowError):
    """JetStream's own refusal: `code` is its `err_code`."""

    reason = "JetStreamRefused"

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"JetStream error {code}: {description}")
        self.code = code


class Credentials(NamedTuple):
    """How to connect: a URL, and the path of a credentials file or empty."""

    url: str
    file: str = ""


async def connect(credentials: Credentials, name: str) -> "Connection":
    """A connection that reconnects for ever. Raises Unavailable when the first attempt fails."""
    connection = Connection()
    # The client's annotation says int, it only passes the number to asyncio.sleep.
    options: dict[str, Any] = {"reconnect_time_wait": 0.25}
    if credentials.file:
        options["user_credentials"] = credentials.file
    try:
        await connection.client.connect(
            credentials.url,
            name=name,
            max_reconnect_attempts=-1,
            ping_interval=10,
            pending_size=64 << 20,
            reconnected_cb=connection.note_reconnect,
            error_cb=_note_error,
            **options,
        )
    except (NatsError, OSError, TimeoutError) as error:
        raise Unavailable(f"NATS is not to be reached: {type(error).__name__}") from error
    return connection


async def _note_error(error: Exception) -> None:
    log.info("nats: %s", type(error).__name__)


class Connection:
    """What the other modules use of NATS."""

    def __init__(self) -> None:
        self.client = Client()
        self.failures = 0
        """How many requests have had no answer."""
        self._reconnected = asyncio.Condition()

    async def note_reconnect(self) -> None:
        """The client library is connected again."""
        async with self._reconnected:
            self._reconnected.notify_all()

    async def reconnected(self) -> None:
        """Return after the next reconnect."""
        async with self._reconnected:
            await self._reconnected.wait()

    @property
    def connected(self) -> bool:
        """Whether the connection is up right now."""
        return bool(self.client.is_connected)

    async def request(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Msg:
        """One request, one answer. Raises Unavailable."""
        if not self.client.is_connected:
            # A publish while reconnecting is kept and sent later, when nobody wants it any more.
            raise Unavailable("NATS is not connected")
        try:
            return await self.client.request(subject, data, timeout=TIMEOUT, headers=headers)
        except (NatsError, OSError, TimeoutError) as error:
            self.failures += 1
            raise Unavailable(f"no answer from NATS: {type(error).__name__}") from error

    async def api(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of JetStream's API, without the `$JS.API.`. Raises JetStreamError, Unavailable."""
        answer = await self.request(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"")
        return checked(answer)

    async def direct_get(self, stream: str, body: dict[str, Any]) -> Msg | None:
        """One stored message, None when there is none."""
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream}", json.dumps(body).encode())
        status = (answer.headers or {}).get("Status")
        if status == "404":
            return None
        if status:
            raise Unavailable(f"direct get answered {status}")
        return answer

    async def direct_get_many(self, stream: str, body: dict[str, Any]) -> AsyncIterator[Msg]:
        """Stored messages, as many as the request finds. Raises Unavailable, TooMany."""
        inbox = self.client.new_inbox()
        arrived: asyncio.Queue[Msg] = asyncio.Queue()

        async def take(message: Msg) -> None:
            arrived.put_nowait(message)

        subscription = await self.client.subscribe(inbox, cb=take)
        try:
            await self.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(body).encode(), reply=inbox)
            while True:
                try:
                    async with asyncio.timeout(TIMEOUT):
                        message = await arrived.get()
                except TimeoutError:
                    raise Unavailable("no answer from NATS to a direct get") from None
                status = (message.headers or {}).get("Status")
                if status in {"204", "404"}:
                    return
                if status == "413":
                    raise TooMany("more messages match than one request may get")
                if status:
                    raise Unavailable(f"direct get answered {status}")
                yield message
        finally:
            await subscription.unsubscribe()

    async def publish(self, subject: str, data: bytes, *, reply: str = "", headers: Any = None) -> None:
        """Send without waiting. Raises Unavailable."""
        try:
            await self.client.publish(subject, data, reply=reply, headers=headers)
        except (NatsError, OSError) as error:
            raise Unavailable(f"NATS took nothing: {type(error).__name__}") from error

    async def close(self) -> None:
        """Send what is pending, then close."""
        if not self.client.is_closed:
            try:
                await asyncio.wait_for(self.client.flush(), 1)
            except (NatsError, OSError, TimeoutError):
                log.info("nats: closing without a flush")
            await self.client.close()


class TooMany(EmailFlowError):
    """A direct get that matches more than the server gives at once."""

    reason = "TooManyResults"


def checked(answer: Msg) -> dict[str, Any]:
    """The JSON of an answer. Raises JetStreamError when it tells of an error."""
    body: dict[str, Any] = json.loads(answer.data) if answer.data else {}
    if error := body.get("error"):
        raise JetStreamError(error.get("err_code", error.get("code", 0)), error.get("description", ""))
    return body
