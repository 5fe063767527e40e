"""One connection to a NATS server, and JetStream's API over it with a deadline on every request.

Reconnecting is the client library's. Whoever waits for an answer gets NatsUnreachable instead of waiting
for ever. Credentials are texts from Secrets: they are never logged.
"""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from nats.aio.client import Client, RawCredentials
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from emailflow_api.jetstream.permissions import OPERATOR_INBOX
from emailflow_nats.abrupt import AbruptEnd
from emailflow_operator.errors import InvalidCredentials, JetStreamRefused, NatsUnreachable

TIMEOUT = 5.0
"""Seconds that a request may take."""
CONNECT_WITHIN = 3.0
"""Seconds in which the first attempt must have succeeded; the library tries again every half a second."""
PING_EVERY: int = 3
"""Seconds; a server that owes two answers is left, for a new connection."""
PAGE = 500
NOT_FOUND = frozenset({10014, 10059})

log = logging.getLogger(__name__)


class Server(NamedTuple):
    """How to reach a NATS server. Two that are equal are one connection."""

    url: str
    credentials: str = ""
    """The text of a credentials file; empty: none."""
    authority: str = ""
    """CA certificates (PEM); empty: the system's."""
    inbox_prefix: str = OPERATOR_INBOX

    def __repr__(self) -> str:
        return f"Server({self.url})"


class Page(NamedTuple):
    """Some of a bucket's entries: key, value (`None`: deleted) and sequence, and the one to go on from."""

    entries: list[tuple[str, bytes | None, int]]
    following: int


async def connect(server: Server) -> "NatsConnection":
    """A connection that reconnects for ever. Raises NatsUnreachable when the first attempt fails."""
    connection = NatsConnection()
    options: dict[str, Any] = {"reconnect_time_wait": 0.5, "inbox_prefix": server.inbox_prefix.encode()}
    if server.credentials:
        options["user_credentials"] = RawCredentials(server.credentials)
    if server.authority:
        options["tls"] = ssl.create_default_context(cadata=server.authority)
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            await connection.client.connect(
                server.url.split(","),
                name="emailflow operator",
                max_reconnect_attempts=-1,
                ping_interval=PING_EVERY,
                connect_timeout=2,
                allow_reconnect=True,
                reconnected_cb=connection.note_reconnect,
                disconnected_cb=connection.note_disconnect,
                error_cb=_note_error,
                **options,
            )
    except (NatsError, OSError, TimeoutError) as error:
        await connection.close()
        raise NatsUnreachable(f"NATS is not to be reached at {server.url}: {type(error).__name__}") from None
    except ValueError:
        await connection.close()
        raise InvalidCredentials("what the Secret holds is no credentials file") from None
    return connection


async def _note_error(error: Exception) -> None:
    log.info("nats: %s", type(error).__name__)


class NatsConnection:
    """What the other modules use of NATS."""

    def __init__(self) -> None:
        self.client = Client()
        self._end = AbruptEnd(self.client)
        self._told: list[Callable[[], None]] = []
        self._waiting: set[asyncio.Timeout] = set()

    def when_changed(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the connection is lost or back."""
        self._told.append(tell)

    def _tell(self) -> None:
        for tell in self._told:
            tell()

    async def note_reconnect(self) -> None:
        """The client library is connected again."""
        self._tell()

    async def note_disconnect(self) -> None:
        """The connection is lost; the client library tries again. Nobody is answered any more."""
        for limit in self._waiting:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
        self._tell()

    @contextlib.asynccontextmanager
    async def _answered(self, within: float = TIMEOUT) -> AsyncIterator[None]:
        """TimeoutError after so many seconds, or when the connection is lost."""
        async with asyncio.timeout(within) as limit:
            self._waiting.add(limit)
            try:
                yield
            finally:
                self._waiting.discard(limit)

    @property
    def connected(self) -> bool:
        """Whether the connection is up right now."""
        return bool(self.client.is_connected)

    @property
    def max_payload(self) -> int:
        """The bytes that the server takes in one message, headers and all."""
        return int(self.client.max_payload)

    async def request(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str] | None = None,
        *,
        within: float = TIMEOUT,
    ) -> Msg:
        """One request, one answer, within these seconds. Raises NatsUnreachable."""
        if not self.client.is_connected:
            # A publish while reconnecting is kept and sent later, when nobody wants it any more.
            raise NatsUnreachable("NATS is not connected")
        try:
            async with self._answered(within):
                return await self.client.request(subject, data, timeout=within, headers=headers)
        except (NatsError, OSError, TimeoutError) as error:
            raise NatsUnreachable(f"no answer from NATS: {type(error).__name__}") from None

    async def api(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of JetStream's API, without the `$JS.API.`. Raises JetStreamRefused, NatsUnreachable."""
        return checked(await self.request(f"$JS.API.{subject}", json.dumps(body).encode() if body else b""))

    async def last(self, stream: str, subject: str) -> Mapping[str, str] | None:
        """The headers of a subject's last message, None where there is none. Raises NatsUnreachable."""
        # The subject stands in the request's own, so that permissions can name it.
        found = await self.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        headers = found.headers or {}
        if (status := headers.get("Status")) not in {None, "404"}:
            raise NatsUnreachable(f"a direct get answered {status}")
        return None if status else headers

    async def find(self, subject: str) -> dict[str, Any] | None:
        """The same, and None for what isn't there."""
        try:
            return await self.api(subject)
        except JetStreamRefused as refused:
            if refused.code not in NOT_FOUND:
                raise
            return None

    async def replies(self, subject: str, within: float) -> list[dict[str, Any]]:
        """What everybody answers to one empty request within these seconds; nothing when nobody may or can.

        Raises NatsUnreachable.
        """
        if not self.client.is_connected:
            raise NatsUnreachable("NATS is not connected")
        inbox, arrived = self.client.new_inbox(), asyncio.Queue[Msg]()
        answers: list[dict[str, Any]] = []
        try:
            subscription = await self.client.subscribe(inbox, cb=arrived.put)
            try:
                await self.client.publish(subject, reply=inbox)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(within):
                        while "Status" not in ((message := await arrived.get()).headers or {}):
                            answers.append(json.loads(message.data))
            finally:
                await subscription.unsubscribe()
        except (NatsError, OSError) as error:
            raise NatsUnreachable(f"no answer from NATS: {type(error).__name__}") from None
        return answers

    async def streams(self) -> list[dict[str, Any]]:
        """The configurations of all streams. Raises JetStreamRefused, NatsUnreachable."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.api("STREAM.LIST", {"offset": len(found)})
            listed: list[dict[str, Any]] = page.get("streams") or []
            found += [each["config"] for each in listed]
            if not listed or len(found) >= page.get("total", 0):
                return found

    async def publish(self, subject: str, data: bytes) -> None:
        """Send without waiting. Raises NatsUnreachable."""
        try:
            await self.client.publish(subject, data)
        except (NatsError, OSError) as error:
            raise NatsUnreachable(f"NATS takes nothing: {type(error).__name__}") from None

    async def subscribe(self, subject: str, take: Callable[[Msg], Awaitable[None]]) -> Subscription:
        """Call `take` for each message, until the connection is closed. Raises NatsUnreachable."""
        try:
            return await self.client.subscribe(subject, cb=take)
        except (NatsError, OSError) as error:
            raise NatsUnreachable(f"NATS takes no subscription: {type(error).__name__}") from None

    async def page(self, bucket: str, sequence: int) -> Page:
        """Entries of a bucket from a sequence on, at most PAGE. Raises NatsUnreachable."""
        inbox, arrived = self.client.new_inbox(), asyncio.Queue[Msg]()

        async def take(message: Msg) -> None:
            arrived.put_nowait(message)

        prefix = f"$KV.{bucket}."
        body = {"seq": sequence, "batch": PAGE, "next_by_subj": f"{prefix}>"}
        entries: list[tuple[str, bytes | None, int]] = []
        try:
            subscription = await self.client.subscribe(inbox, cb=take)
            try:
                await self.client.publish(
                    f"$JS.API.DIRECT.GET.KV_{bucket}", json.dumps(body).encode(), reply=inbox
                )
                while True:
                    async with self._answered():
                        message = await arrived.get()
                    headers = message.headers or {}
                    if status := headers.get("Status"):
                        if status in {"204", "404"}:
                            return Page(entries, sequence)
                        raise NatsUnreachable(f"a direct get answered {status}")
                    at, name = int(headers["Nats-Sequence"]), headers["Nats-Subject"].removeprefix(prefix)
                    deleted = "KV-Operation" in headers
                    entries.append((name, None if deleted else message.data, at))
                    sequence = at + 1
            finally:
                await subscription.unsubscribe()
        except (NatsError, OSError, TimeoutError) as error:
            raise NatsUnreachable(f"no answer from NATS: {type(error).__name__}") from None

    async def close(self) -> None:
        """Let go; what is pending is not waited for, and nobody is told."""
        self._told.clear()
        if not self.client.is_closed:
            self._end.cut()  # the library would wait for a server that takes nothing
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                async with asyncio.timeout(TIMEOUT):
                    await self.client.close()


def checked(answer: Msg) -> dict[str, Any]:
    """The JSON of an answer. Raises JetStreamRefused when it tells of an error."""
    body: dict[str, Any] = json.loads(answer.data) if answer.data else {}
    if error := body.get("error"):
        raise JetStreamRefused(error.get("err_code", error.get("code", 0)), error.get("description", ""))
    return body
