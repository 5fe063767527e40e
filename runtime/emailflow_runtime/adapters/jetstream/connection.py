"""One connection to NATS, and JetStream's API over it with a deadline on every request.

Reconnecting is the client library's; whoever waits for an answer gets Unavailable instead of waiting
for ever.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError

from emailflow_runtime.adapters.jetstream.wire import Arrived, Wire, frame
from emailflow_runtime.errors import EmailFlowError, Unavailable

TIMEOUT = 5.0
"""Seconds that a request may take."""
RECONNECT_AFTER: Any = 0.25
"""Seconds between attempts. The client's annotation says int, it only passes the number on."""
PING_EVERY = 3
"""Seconds; a server that owes two answers is left, for a new connection."""
STREAK = 2.5 * TIMEOUT
"""Seconds without an unanswered request that end a streak of them."""
PAGE_BYTES = 8 << 20
"""Bytes of stored messages in one answer, from which the rest is asked for anew. The server has a bound of
its own (64 MB), at which it stops just as it does here."""
DEAF_AFTER = 60.0
"""Seconds of such a streak, with nothing heard at all, from which another connection is tried. The server may
be cut off from the others, or answers may go astray; where neither is so, it costs little."""
EPOCH_LOST = 10071
TRY_AGAIN = 10164
ACCOUNT_FULL = 10002
"""What the runtime's account may store is used up. It comes as a fault of the request, and is none."""

log = logging.getLogger(__name__)


class JetStreamError(EmailFlowError):
    """JetStream's own refusal: `code` is its `err_code`, `status` its `code`, which is as HTTP's are."""

    reason = "JetStreamRefused"

    def __init__(self, code: int, description: str, status: int = 0) -> None:
        super().__init__(f"JetStream error {code}: {description}")
        self.code = code
        self.status = status

    @property
    def for_good(self) -> bool:
        """Whether the same again would be refused again: what is wrong is the request, not the server."""
        return 400 <= self.status < 500 and self.status != 429 and self.code not in {TRY_AGAIN, ACCOUNT_FULL}


class Credentials(NamedTuple):
    """How to connect. Paths are empty where there is no such file; both files are read again at each
    attempt, so that replacing them is enough."""

    url: str
    """One or more, separated by commas."""
    file: str = ""
    """A .creds file: a user's JWT and the seed of its key."""
    ca: str = ""
    """Certificates (PEM) to trust instead of the system's."""
    inbox: str = "_INBOX"
    """Where answers come to; only this user may listen there."""


async def connect(credentials: Credentials, name: str) -> "Connection":
    """A connection that reconnects for ever. Raises Unavailable when no server lets it in at first."""
    connection = Connection()
    client = connection.client

    async def failed(error: Exception) -> None:
        refused = isinstance(error, NatsError)
        log.log(logging.WARNING if refused else logging.INFO, "nats: %s", _words(error))
        if isinstance(error, ssl.SSLError):
            _trust(client, credentials)

    options: dict[str, Any] = {"reconnect_time_wait": RECONNECT_AFTER}
    if credentials.file:
        options["user_credentials"] = credentials.file
    if credentials.ca:
        try:
            options["tls"] = _trusting(credentials.ca)
        except OSError as error:
            raise Unavailable(f"NATS's CA can't be read: {type(error).__name__}") from error
    try:
        await client.connect(
            credentials.url.split(","),
            name=name,
            inbox_prefix=credentials.inbox,
            connect_timeout=int(TIMEOUT),
            max_reconnect_attempts=1,
            ping_interval=PING_EVERY,
            pending_size=64 << 20,
            reconnected_cb=connection.note_reconnect,
            closed_cb=connection.note_closed,
            error_cb=failed,
            **options,
        )
    except (NatsError, OSError, TimeoutError, ValueError) as error:
        await client.close()
        raise Unavailable(f"NATS is not to be reached: {_words(error)}") from error
    # Only the first attempt may fail for good.
    client.options["max_reconnect_attempts"] = -1
    return connection


def _trusting(ca: str) -> ssl.SSLContext:
    """Raises OSError, ssl.SSLError among them."""
    return ssl.create_default_context(cafile=ca)


def _trust(client: Client, credentials: Credentials) -> None:
    """Have the next attempt trust the certificates that the file holds now."""
    if credentials.ca:
        try:
            client.options["tls"] = _trusting(credentials.ca)
        except OSError as error:
            log.warning("the CA certificates can't be read, the old ones stay: %s", type(error).__name__)


def _words(error: Exception) -> str:
    """What the server said; of everything else the kind only. Its words name subjects, never people."""
    said = str(error).removeprefix("nats: ") if isinstance(error, NatsError) else ""
    return said or type(error).__name__


class Connection:
    """What the other modules use of NATS."""

    def __init__(self) -> None:
        self.client = Client()
        self.wire = Wire(self.client)
        self.failures = 0
        """How many requests have had no answer."""
        self._unanswered = (0.0, 0.0)
        self._reconnected = asyncio.Condition()
        self._closed = asyncio.Event()

    async def note_reconnect(self) -> None:
        """The client library is connected again."""
        async with self._reconnected:
            self._reconnected.notify_all()

    async def reconnected(self) -> None:
        """Return after the next reconnect."""
        async with self._reconnected:
            await self._reconnected.wait()

    @property
    def reconnects(self) -> int:
        """How often the client library has connected again."""
        return int(self.client.stats["reconnects"])

    async def note_closed(self) -> None:
        """The client library has given up, or was told to."""
        self._closed.set()

    async def closed(self) -> None:
        """Return when the connection will never come back: the server has thrown this user out."""
        await self._closed.wait()

    def _note_unanswered(self) -> None:
        self.failures += 1
        begun, last = self._unanswered
        now = asyncio.get_running_loop().time()
        goes_on = last and now - last < STREAK and not self.wire.heard
        self.wire.heard = False
        self._unanswered = (begun if goes_on else now, now)
        if self.connected and now - self._unanswered[0] > DEAF_AFTER:
            log.warning("nats: connected, and nothing is answered; trying another connection")
            self._unanswered = (0.0, 0.0)
            self.wire.cut()

    @property
    def connected(self) -> bool:
        """Whether the connection is up right now."""
        return bool(self.client.is_connected)

    async def request(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Arrived:
        """One request, one answer. Raises Unavailable."""
        reply, expected = await self.wire.expect()
        try:
            await self.wire.send(frame(subject, data, headers or {}, reply=reply))
            return await self.answer(expected)
        finally:
            self.wire.unexpect(reply)

    async def answer(self, expected: "asyncio.Future[Arrived]") -> Arrived:
        """What is expected, within the time that a request may take. Raises Unavailable."""
        return (await self.answers((expected,)))[0]

    async def answers(self, asked: "Sequence[asyncio.Future[Arrived]]") -> list[Arrived]:
        """The same for several that were asked for together."""
        try:
            async with asyncio.timeout(TIMEOUT):
                answers = [await expected for expected in asked]
        except TimeoutError as error:
            self._note_unanswered()
            raise Unavailable("no answer from NATS: TimeoutError") from error
        if any(answer.headers.get("Status") == "503" for answer in answers):
            raise Unavailable("no answer from NATS: nobody listens there")
        return answers

    async def api(self, subject: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of JetStream's API, without the `$JS.API.`. Raises JetStreamError, Unavailable."""
        answer = await self.request(f"$JS.API.{subject}", json.dumps(body).encode() if body else b"")
        return checked(answer)

    async def direct_get(self, stream: str, body: dict[str, Any]) -> Arrived | None:
        """One stored message, None when there is none."""
        answer = await self.request(f"$JS.API.DIRECT.GET.{stream}", json.dumps(body).encode())
        status = (answer.headers or {}).get("Status")
        if status == "404":
            return None
        if status:
            raise Unavailable(f"direct get answered {status}")
        return answer

    async def direct_get_many(
        self, stream: str, body: dict[str, Any], *, known: int = 0
    ) -> AsyncIterator[Arrived]:
        """Stored messages, as many as the request finds, or `batch` of them. Raises Unavailable, TooMany.

        An answer ends where its bytes do, so it is asked on until nothing is pending. Any replica may answer;
        one that has not got as far as the sequence `known` is Unavailable at the end.
        """
        asked, left = {**body, "max_bytes": PAGE_BYTES}, body.get("batch", 0)
        arrived: asyncio.Queue[Arrived] = asyncio.Queue()
        reply = await self.wire.expect_many(arrived.put_nowait)
        try:
            while True:
                ask = json.dumps(asked).encode()
                await self.wire.send(frame(f"$JS.API.DIRECT.GET.{stream}", ask, {}, reply=reply))
                while True:
                    message = await self._next(arrived) if arrived.empty() else arrived.get_nowait()
                    if "Status" in message.headers:
                        break
                    left -= 1
                    yield message
                pending = _pending(message.headers, known)
                if not pending or not left:
                    return
                asked.update(_rest(message.headers, left))
        finally:
            self.wire.unexpect(reply)

    async def _next(self, arrived: "asyncio.Queue[Arrived]") -> Arrived:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await arrived.get()
        except TimeoutError:
            raise Unavailable("no answer from NATS to a direct get") from None

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
                async with asyncio.timeout(1):
                    await self.client.flush(1)
            except (NatsError, OSError, TimeoutError):
                log.info("nats: closing without a flush")
                self.wire.cut()
            await self.client.close()


def _pending(end: Mapping[str, str], known: int) -> int:
    """How many messages an answer has left out, by what ends it. Raises Unavailable, TooMany."""
    status = end["Status"]
    if status == "413":
        raise TooMany("more messages match than one request may get")
    if status not in {"204", "404"}:
        raise Unavailable(f"direct get answered {status}")
    if int(end.get("Nats-UpTo-Sequence", 0)) < known:
        raise Unavailable("a replica that lags behind has answered")
    return int(end.get("Nats-Num-Pending", 0))


def _rest(end: Mapping[str, str], left: int) -> dict[str, int]:
    """What to ask for after an answer that has left something out; `left`: so many more (negative: all)."""
    rest = {"seq": int(end["Nats-Last-Sequence"]) + 1}
    if "Nats-UpTo-Sequence" in end:
        rest["up_to_seq"] = int(end["Nats-UpTo-Sequence"])
    return {**rest, "batch": left} if left > 0 else rest


class TooMany(EmailFlowError):
    """A direct get that matches more than the server gives at once."""

    reason = "TooManyResults"


def checked(answer: Arrived) -> dict[str, Any]:
    """The JSON of an answer. Raises JetStreamError when it tells of an error."""
    body: dict[str, Any] = json.loads(answer.data) if answer.data else {}
    if error := body.get("error"):
        code = error.get("err_code", error.get("code", 0))
        raise JetStreamError(code, error.get("description", ""), error.get("code", 0))
    return body
