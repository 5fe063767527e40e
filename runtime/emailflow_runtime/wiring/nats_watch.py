"""Keeps the nats-server of `emailflow dev` alive: starts it again when it ended, and when it has stopped
writing although there is space (after a full disk a stream fails until the server is restarted).
"""

import asyncio
import logging
import shutil
from pathlib import Path

from emailflow_runtime.adapters.jetstream.connection import STREAK, Connection
from emailflow_runtime.adapters.nats_server import NatsServer, NatsServerFailed

LOOK_EVERY = 1.0
STUCK_AFTER = 2
"""Requests in a row, none of them far apart, that have had no answer."""
SPACE = 4 << 20
"""Bytes that have to be free before a restart makes sense."""

log = logging.getLogger(__name__)


class Streak:
    """Unanswered requests that follow each other. Times are the event loop's."""

    def __init__(self) -> None:
        self.length = 0
        self._last = 0.0

    def note(self, failures: int, now: float) -> None:
        """So many more requests have had no answer."""
        if failures:
            self.length += failures
            self._last = now
        elif now - self._last > STREAK:
            self.length = 0


async def watch_nats_server(server: NatsServer, connection: Connection, folder: Path) -> None:
    """Watch until cancelled; `folder` is on the server's disk."""
    streak = Streak()
    seen = connection.failures
    while True:
        if await _has_ended(server):
            log.warning("nats-server has ended; starting it again")
            await _start(server)
            continue
        streak.note(connection.failures - seen, asyncio.get_running_loop().time())
        seen = connection.failures
        if streak.length >= STUCK_AFTER and shutil.disk_usage(folder).free > SPACE:
            log.warning("nats-server has stopped writing; starting it again")
            await server.stop()
            await _start(server)
            streak = Streak()
            seen = connection.failures


async def _has_ended(server: NatsServer) -> bool:
    try:
        async with asyncio.timeout(LOOK_EVERY):
            await server.ended()
    except TimeoutError:
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
