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
from emailflow_runtime.errors import MessageTooLarge

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
    when it is not known whether it took them; MessageTooLarge, before anything is sent, when one of them is
    more than the server takes: it would cut the connection.
    """
    if len(messages) == 1 or (len(messages) <= SINGLES_UP_TO and not one_write):
        return await _publish_singly(connection, messages, guard)
    return await _publish_batch(connection, messages, guard)


async def _publish_singly(
    connection: Connection, messages: Sequence[Message], guard: Mapping[str, str]
) -> int:
    expected = [await connection.wire.expect() for _ in messages]
    try:
        frames = [
            frame(m.subject, m.data, {**m.headers, **guard}, more=m.lines, reply=reply)
            for m, (reply, _) in zip(messages, expected, strict=True)
        ]
        _check(connection, frames)
        # One write on one connection keeps the order, so that the stream stores them in order.
        await connection.wire.send(b"".join(frames))
        # All are heard before the first refusal is raised: the others may have been taken.
        heard = await connection.answers([each for _, each in expected])
    finally:
        for reply, _ in expected:
            connection.wire.unexpect(reply)
    return max([int(checked(answer)["seq"]) for answer in heard])


async def _publish_batch(
    connection: Connection, messages: Sequence[Message], guard: Mapping[str, str]
) -> int:
    answer: asyncio.Future[Arrived] = asyncio.get_running_loop().create_future()

    def take(message: Arrived) -> None:
        # That a batch has begun is answered with nothing. What is refused at its first message gets no other
        # answer at its last.
        if (message.data or message.headers) and not answer.done():
            answer.set_result(message)

    reply = await connection.wire.expect_many(take)
    try:
        frames = _frames(messages, guard, reply)
        _check(connection, frames)
        await connection.wire.send(b"".join(frames))
        return int(checked(await connection.answer(answer))["seq"])
    finally:
        connection.wire.unexpect(reply)


def _check(connection: Connection, frames: Sequence[bytes]) -> None:
    """Raises MessageTooLarge. What counts is what follows a frame's first line, but for its line end."""
    most = connection.client.max_payload
    for each in frames:
        if len(each) > most and (size := len(each) - each.index(b"\r\n") - 4) > most:
            raise MessageTooLarge(f"expected at most {most} bytes in one message, got {size}")


def _frames(messages: Sequence[Message], guard: Mapping[str, str], reply: str) -> list[bytes]:
    batch, end = f"Nats-Batch-Id: {secrets.token_hex(12)}\r\nNats-Batch-Sequence: ", len(messages)
    frames = []
    for number, (subject, data, headers, lines) in enumerate(messages, 1):
        more = f"{lines}{batch}{number}\r\n"
        if number == 1:
            made = frame(subject, data, {**headers, **guard}, more=more, reply=reply)
        elif number == end:
            made = frame(subject, data, headers, more=f"{more}Nats-Batch-Commit: 1\r\n", reply=reply)
        else:
            made = frame(subject, data, headers, more=more)
        frames.append(made)
    return frames
