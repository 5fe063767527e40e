"""Reading the headers of everything that a stream holds under a subject, fast, without its bodies."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence

from emailflow_runtime.adapters.jetstream.connection import TIMEOUT, Connection
from emailflow_runtime.adapters.jetstream.wire import Arrived, frame
from emailflow_runtime.errors import Unavailable

PAGE = 1000
SECOND = 1_000_000_000
NO_MESSAGES = "404"


async def scan_headers(
    connection: Connection, stream: str, subjects: Sequence[str]
) -> AsyncIterator[tuple[Arrived, int]]:
    """Each message with its stream sequence, as the stream is when the scan begins. Raises Unavailable.

    On a replicated stream any replica may be scanned, also one that lags behind.
    """
    name = f"scan_{secrets.token_hex(6)}"
    config = {
        "name": name,
        "ack_policy": "none",
        "deliver_policy": "all",
        "filter_subjects": list(subjects),
        "headers_only": True,
        "mem_storage": True,
        "num_replicas": 1,
        "inactive_threshold": 60 * SECOND,
    }
    made = await connection.api(f"CONSUMER.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
    left = int(made["num_pending"])
    arrived: asyncio.Queue[Arrived] = asyncio.Queue()
    listening = await connection.wire.listen(arrived.put_nowait)
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{name}"
    try:
        while left > 0:
            asked = min(PAGE, left)
            pull = json.dumps({"batch": asked, "no_wait": True}).encode()
            await connection.wire.send(frame(subject, pull, {}, reply=listening.inbox))
            for _ in range(asked):
                message = await _next(arrived)
                if not message.reply:
                    if message.headers.get("Status") != NO_MESSAGES:
                        raise Unavailable("a scan was broken off")
                    return
                left -= 1
                yield message, int(message.reply.split(".")[-4])
    finally:
        await connection.wire.stop(listening)
        await connection.api(f"CONSUMER.DELETE.{stream}.{name}")


async def _next(arrived: asyncio.Queue[Arrived]) -> Arrived:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await arrived.get()
    except TimeoutError:
        raise Unavailable("a scan stopped half-way") from None
