"""Keeps the nats-server of `emailflow dev` alive: starts it again when it ended, and when it has stopped
writing although there is space (after a full disk it fails until it is restarted).
"""

import asyncio
import logging
import shutil
from pathlib import Path

from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError, checked
from emailflow_runtime.adapters.nats_server import NatsServer, NatsServerFailed
from emailflow_runtime.errors import Unavailable

LOOK_EVERY = 1.0
STUCK_AFTER = 2
"""Probes in a row that have to fail."""
SPACE = 1 << 20
"""Bytes that have to be free before a restart makes sense."""

log = logging.getLogger(__name__)


async def watch_nats_server(server: NatsServer, connection: Connection, probe: str, folder: Path) -> None:
    """Watch until cancelled. `probe` is a subject that a durable write may go to, `folder` is on its disk."""
    failed = 0
    failures = connection.failures
    while True:
        if await _has_ended(server):
            log.warning("nats-server has ended; starting it again")
            await _start(server)
            continue
        # Nothing is written for the sake of probing while everything goes well.
        if connection.failures == failures:
            failed = 0
            continue
        failures = connection.failures
        failed = 0 if await _writes(connection, probe) else failed + 1
        if failed >= STUCK_AFTER and shutil.disk_usage(folder).free > SPACE:
            log.warning("nats-server has stopped writing; starting it again")
            await server.stop()
            await _start(server)
            failed = 0


async def _has_ended(server: NatsServer) -> bool:
    try:
        async with asyncio.timeout(LOOK_EVERY):
            await server.ended()
    except TimeoutError:
        return False
    return True


async def _writes(connection: Connection, probe: str) -> bool:
    try:
        checked(await connection.request(probe, b""))
    except (Unavailable, JetStreamError):
        return False
    return True


async def _start(server: NatsServer) -> None:
    while True:
        try:
            await server.start()
            return
        except (NatsServerFailed, OSError) as error:
            log.warning("nats-server does not start: %s", error)
            await asyncio.sleep(LOOK_EVERY)
