"""A stream taken out of JetStream as it is, and put back: content, sequences, times, consumers.

It is JetStream's own snapshot (`STREAM.SNAPSHOT`, `STREAM.RESTORE`), handed on piece by piece: what is under
way is bounded by the server's window. A restore is whole or nothing: the stream is there once the server has
checked all of it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from nats.aio.msg import Msg

from emailflow_operator.adapters.nats_connection import TIMEOUT, NatsConnection, checked
from emailflow_operator.errors import NatsUnreachable

CHUNK = 128 << 10
RESTORED_WITHIN = 600.0
"""Seconds that a server may take to read back what it was given."""


class Snapshot(NamedTuple):
    """A stream's configuration, what it held, and its pieces: asking for the next acknowledges one."""

    config: dict[str, Any]
    state: dict[str, Any]
    pieces: AsyncIterator[bytes]


@contextlib.asynccontextmanager
async def snapshot(connection: NatsConnection, stream: str) -> AsyncIterator[Snapshot]:
    """Take a stream out. Raises NatsUnreachable, JetStreamRefused; so does the iterator."""
    inbox, arrived = connection.client.new_inbox(), asyncio.Queue[Msg]()

    async def take(message: Msg) -> None:
        arrived.put_nowait(message)

    subscription = await connection.subscribe(inbox, take)
    try:
        asked = {"deliver_subject": inbox, "no_consumers": False, "chunk_size": CHUNK, "jsck": True}
        said = await connection.api(f"STREAM.SNAPSHOT.{stream}", asked)
        yield Snapshot(said["config"], said["state"], _pieces(connection, arrived))
    finally:
        await subscription.unsubscribe()


async def _pieces(connection: NatsConnection, arrived: "asyncio.Queue[Msg]") -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(TIMEOUT):
                message = await arrived.get()
        except TimeoutError:
            raise NatsUnreachable("NATS stopped in the middle of a snapshot") from None
        if not message.data:
            if (message.headers or {}).get("Status", "204") not in {"204", "200"}:
                raise NatsUnreachable("NATS gave up a snapshot")
            return
        yield message.data
        if message.reply:
            await connection.publish(message.reply, b"")


async def restore(
    connection: NatsConnection, config: dict[str, Any], state: dict[str, Any], pieces: AsyncIterator[bytes]
) -> dict[str, Any]:
    """Put a stream where there is none of its name; gives what the server says it holds.

    Raises NatsUnreachable, JetStreamRefused.
    """
    name = config["name"]
    said = await connection.api(f"STREAM.RESTORE.{name}", {"config": config, "state": state})
    to = said["deliver_subject"]
    async for piece in pieces:
        answer = await connection.request(to, piece)
        if answer.data:
            checked(answer)
    found = checked(await connection.request(to, b"", within=RESTORED_WITHIN))
    held: dict[str, Any] = found["state"]
    return held
