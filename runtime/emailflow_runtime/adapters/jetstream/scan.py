"""Reading the headers of everything that a stream holds under a subject, fast, without its bodies."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

from nats.aio.msg import Msg

from emailflow_runtime.adapters.jetstream.connection import TIMEOUT, Connection
from emailflow_runtime.errors import Unavailable

PAGE = 1000
SECOND = 1_000_000_000


async def scan_headers(connection: Connection, stream: str, subject: str) -> AsyncIterator[tuple[Msg, int]]:
    """Each message with its stream sequence, as the stream is when the scan begins. Raises Unavailable."""
    name = f"scan_{secrets.token_hex(6)}"
    config = {
        "name": name,
        "ack_policy": "none",
        "deliver_policy": "all",
        "filter_subject": subject,
        "headers_only": True,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": 60 * SECOND,
    }
    made = await connection.api(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
    left = int(made["num_pending"])
    inbox = connection.client.new_inbox()
    arrived: asyncio.Queue[Msg] = asyncio.Queue()

    async def take(message: Msg) -> None:
        arrived.put_nowait(message)

    subscription = await connection.client.subscribe(inbox, cb=take)
    try:
        while left > 0:
            asked = min(PAGE, left)
            pull = json.dumps({"batch": asked, "no_wait": True}).encode()
            await connection.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}", pull, reply=inbox)
            for _ in range(asked):
                message = await _next(arrived)
                if not message.reply:
                    return
                left -= 1
                yield message, int(message.reply.split(".")[-4])
    finally:
        await subscription.unsubscribe()
        await connection.api(f"CONSUMER.DELETE.{stream}.{name}")


async def _next(arrived: asyncio.Queue[Msg]) -> Msg:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await arrived.get()
    except TimeoutError:
        raise Unavailable("a scan stopped half-way") from None
