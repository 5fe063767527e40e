"""A fake inbox, a clock, a browser without a network, and mails to look at."""

import asyncio
import email.policy
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.types import ASGIApp, Message

from emailflow_runtime.adapters.mail_catcher import message, search
from emailflow_runtime.adapters.mail_catcher.store import MessageStore
from emailflow_runtime.app.ports import CaughtMessage, InboxPage, OpenedMessage
from emailflow_runtime.errors import Unavailable
from emailflow_runtime.web.inbox_app import inbox_app

NOON = 1_795_521_600_000_000_000
"""2026-11-24T12:00:00Z in nanoseconds since 1970."""
SECOND = 1_000_000_000


class FakeClock:
    """Starts at noon; a second passes with every look."""

    def __init__(self) -> None:
        self._next = NOON

    def now(self) -> int:
        self._next += SECOND
        return self._next - SECOND


class FakeInbox:
    """The port `Inbox` in memory."""

    def __init__(self, clock: FakeClock) -> None:
        self.position = 0
        self._clock = clock
        self._mails: dict[str, tuple[CaughtMessage, bytes, str, str]] = {}
        self._added = 0
        self._changed = asyncio.Condition()
        self._closed = False

    async def add(self, source: bytes, *, return_path: str, recipients: Sequence[str]) -> str:
        summary, words = message.summarize(source, recipients=recipients, received=self._clock.now())
        self._added += 1
        message_id = str(self._added)
        self._mails[message_id] = (
            msgspec.structs.replace(summary, id=message_id),
            source,
            return_path,
            words,
        )
        self.position += 1
        async with self._changed:
            self._changed.notify_all()
        return message_id

    def messages(self, *, query: str = "", start: int = 0, limit: int = 50) -> InboxPage:
        found = [
            summary
            for summary, _, _, words in reversed(self._mails.values())
            if _matches(summary, words, query)
        ]
        unread = sum(not summary.read for summary, *_ in self._mails.values())
        return InboxPage(
            messages=tuple(found[start : start + limit]),
            total=len(self._mails),
            unread=unread,
            matching=len(found),
            matching_unread=sum(not summary.read for summary in found),
        )

    def message(self, message_id: str) -> OpenedMessage | None:
        if message_id == "latest" and self._mails:
            message_id = list(self._mails)[-1]
        if message_id not in self._mails:
            return None
        summary, source, return_path, _ = self._mails[message_id]
        return message.open_message(source, summary=summary, return_path=return_path)

    def mark_read(self, message_ids: Collection[str] | None, *, read: bool = True) -> None:
        for message_id in self._known(message_ids):
            summary, *rest = self._mails[message_id]
            self.position += summary.read != read
            self._mails[message_id] = (msgspec.structs.replace(summary, read=read), *rest)

    def delete(self, message_ids: Collection[str] | None) -> None:
        for message_id in self._known(message_ids):
            del self._mails[message_id]
            self.position += 1

    async def wait_for_change(self, position: int) -> int:
        async with self._changed:
            await self._changed.wait_for(lambda: self.position != position or self._closed)
        if self._closed:
            raise Unavailable("closed")
        return self.position

    async def close(self) -> None:
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    def _known(self, message_ids: Collection[str] | None) -> list[str]:
        return [key for key in self._mails if message_ids is None or key in message_ids]


def _matches(summary: CaughtMessage, words: str, query: str) -> bool:
    places = {
        "from": _names([summary.sender]),
        "to": _names([*summary.to, *summary.cc, *summary.bcc]),
        "subject": summary.subject,
    }
    places["anything"] = "\n".join([*places.values(), words])
    return all(term.text in places[term.place].casefold() for term in search.parse(query))


def _names(addresses: Sequence[Any]) -> str:
    return "\n".join(f"{address.name} <{address.address}>" for address in addresses)


class Answer(msgspec.Struct):
    """What came back; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """Asks an ASGI application under the name `localhost:8080`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, **headers)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"" if body is None else json.dumps(body).encode()}

        async def send(part: Message) -> None:
            sent.append(part)

        await self.app(scope(method, path, **headers), receive, send)
        head, *parts = sent
        answered = {name.decode().lower(): value.decode() for name, value in head["headers"]}
        return Answer(head["status"], answered, b"".join(part.get("body", b"") for part in parts))


def scope(method: str, path: str, **headers: str) -> dict[str, Any]:
    """An ASGI scope; `sec_fetch_site` is the header Sec-Fetch-Site."""
    path, _, query = path.partition("?")
    fields = {"host": "localhost:8080", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
    }


class Post:
    """Writes mails and puts them into an inbox."""

    def __init__(self, inbox: FakeInbox | MessageStore) -> None:
        self.inbox = inbox

    async def put(
        self,
        *,
        subject: str = "Hello",
        text: str = "Hello there",
        html: str = "",
        sender: str = "Shop <shop@example.com>",
        to: str = "Ana <ana@example.com>",
        recipients: Sequence[str] = ("ana@example.com",),
        **headers: str,
    ) -> str:
        """Returns the mail's id."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"], mail["To"], mail["Subject"] = sender, to, subject
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content(text)
        if html:
            mail.add_alternative(html, subtype="html")
        return await self.put_raw(mail.as_bytes(), recipients)

    async def put_raw(self, source: bytes, recipients: Sequence[str] = ("ana@example.com",)) -> str:
        """Returns the mail's id."""
        return await self.inbox.add(source, return_path="bounces@example.com", recipients=recipients)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def inbox(clock: FakeClock) -> FakeInbox:
    return FakeInbox(clock)


@pytest.fixture(params=["fake", "sqlite"])
async def any_inbox(
    request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path
) -> AsyncIterator[FakeInbox | MessageStore]:
    """Each implementation of the port."""
    inbox = FakeInbox(clock) if request.param == "fake" else MessageStore(tmp_path, clock=clock)
    yield inbox
    await inbox.close()


@pytest.fixture
def post(inbox: FakeInbox) -> Post:
    return Post(inbox)


@pytest.fixture
def any_post(any_inbox: FakeInbox | MessageStore) -> Post:
    return Post(any_inbox)


@pytest.fixture
def browser(inbox: FakeInbox) -> Browser:
    return Browser(inbox_app(inbox))


class EventStream:
    """An open response that is read piece by piece."""

    def __init__(self, app: ASGIApp, path: str, **headers: str) -> None:
        self._pieces: asyncio.Queue[str] = asyncio.Queue()
        self.ended = asyncio.ensure_future(app(scope("GET", path, **headers), self._stay, self._send))

    async def next(self) -> str:
        return await asyncio.wait_for(self._pieces.get(), 5)

    async def _stay(self) -> Message:
        return await asyncio.get_running_loop().create_future()

    async def _send(self, part: Message) -> None:
        if part.get("body"):
            await self._pieces.put(part["body"].decode())


@pytest.fixture
async def stream(inbox: FakeInbox) -> AsyncIterator[Callable[..., EventStream]]:
    """Opens event streams, and ends them with the test."""
    streams: list[EventStream] = []

    def opened(path: str, **headers: str) -> EventStream:
        streams.append(EventStream(inbox_app(inbox), path, **headers))
        return streams[-1]

    yield opened
    await inbox.close()
    await asyncio.gather(*(stream.ended for stream in streams))
