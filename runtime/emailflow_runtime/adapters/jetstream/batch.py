"""Publishing several messages to one stream: as one atomic batch, or each on its own (ADR-50 of NATS).

A batch costs the server 2 to 4 ms whatever its size, a single publish 0.3 ms: few messages go singly and
at once, many as a batch.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from emailflow_runtime.adapters.jetstream.connection import Connection, checked
from emailflow_runtime.adapters.jetstream.wire import Arrived, frame

SINGLES_UP_TO = 8
LARGEST_BATCH = 1000
_UNGUARDED: Mapping[str, str] = {}


class Message(NamedTuple):
    """A message to publish."""

    subject: str
    data: bytes
    headers: dict[str, str]
    lines: str = ""
    """More headers, as they are written: each with its line end."""


async def publish_all(
    connection: Connection,
    messages: Sequence[Message],
    guard: Mapping[str, str] = _UNGUARDED,
    *,
    one_write: bool = False,
) -> int:
    """Publish in order, return the stream sequence of the last one.

    `guard` headers go on everything that is checked by itself: each single message, the first of a batch.
    `one_write`: never more than one write at a time, since guarded ones refuse each other on a replicated
    stream. Raises JetStreamError when the stream refused (of a batch, nothing is stored then), Unavailable
    when it is not known whether it took them.
    """
    if len(messages) == 1 or (len(messages) <= SINGLES_UP_TO and not one_write):
        return await _publish_singly(connection, messages, guard)
    return await _publish_batch(connection, messages, guard)


async def _publish_singly(
    connection: Connection, messages: Sequence[Message], guard: Mapping[str, str]
) -> int:
    expected = [await connection.wire.expect() for _ in messages]
    try:
        # One write on one connection keeps the order, so that the stream stores them in order.
        frames = [
            frame(m.subject, m.data, {**m.headers, **guard}, more=m.lines, reply=reply)
            for m, (reply, _) in zip(messages, expected, strict=True)
        ]
        await connection.wire.send(b"".join(frames))
        # All are heard before the first refusal is raised: the others may have been taken.
        heard = await asyncio.gather(
            *(connection.answer(each) for _, each in expected), return_exceptions=True
        )
    finally:
        for reply, _ in expected:
            connection.wire.unexpect(reply)
    for answer in heard:
        if isinstance(answer, BaseException):
            raise answer
    return max(int(checked(answer)["seq"]) for answer in heard if isinstance(answer, Arrived))


async def _publish_batch(
    connection: Connection, messages: Sequence[Message], guard: Mapping[str, str]
) -> int:
    opened, opening = await connection.wire.expect()
    closed, closing = await connection.wire.expect()
    try:
        await connection.wire.send(_frames(messages, guard, opened, closed))
        # A batch that is refused at its first message gets no answer at its last.
        first = asyncio.ensure_future(connection.answer(opening))
        last = asyncio.ensure_future(connection.answer(closing))
        try:
            await asyncio.wait((first, last), return_when=asyncio.FIRST_COMPLETED)
            if not last.done():
                checked(await first)
            return int(checked(await last)["seq"])
        finally:
            first.cancel()
            last.cancel()
            await asyncio.gather(first, last, return_exceptions=True)
    finally:
        connection.wire.unexpect(opened)
        connection.wire.unexpect(closed)


def _frames(messages: Sequence[Message], guard: Mapping[str, str], opened: str, closed: str) -> bytes:
    batch, end = f"Nats-Batch-Id: {secrets.token_hex(12)}\r\nNats-Batch-Sequence: ", len(messages)
    frames = []
    for number, (subject, data, headers, lines) in enumerate(messages, 1):
        more = f"{lines}{batch}{number}\r\n"
        if number == 1:
            made = frame(subject, data, {**headers, **guard}, more=more, reply=opened)
        elif number == end:
            made = frame(subject, data, headers, more=f"{more}Nats-Batch-Commit: 1\r\n", reply=closed)
        else:
            made = frame(subject, data, headers, more=more)
        frames.append(made)
    return b"".join(frames)
