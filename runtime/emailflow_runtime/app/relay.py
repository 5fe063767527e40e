"""The relay: publishes the facts that records carry to EVENTS, in the order of their commits.

A record keeps a fact until it is published, so nothing is lost when the process dies; a new owner
publishes again what lies above the committed position, and readers drop repeats by source and id.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from typing import NamedTuple

from emailflow_runtime.app.stores import EventLog, LogEntry
from emailflow_runtime.core.weights import event_weight
from emailflow_runtime.errors import MessageTooLarge, Unavailable

MAX_BATCH = 500
MOMENT = 0.02
"""Seconds between batches that are small: a batch costs the server as much as 200 messages in it."""
ENOUGH = 200
MAX_BYTES = 4 << 20
ROOM = 10_000
"""Facts that may wait before readers read no further."""
ROOM_BYTES = 32 << 20
"""What they may weigh."""
RETRY_AFTER = 0.5
"""Seconds between attempts while EVENTS can't be written."""

log = logging.getLogger(__name__)


class Parcel(NamedTuple):
    """The facts of one record as committed at a STATE sequence; `published` is told when they are out."""

    sequence: int
    entries: Sequence[LogEntry]
    published: Callable[[], None]


class Relay:
    """One for each shard. `note_position` hears up to which STATE sequence everything is published."""

    def __init__(self, log: EventLog, note_position: Callable[[int], None]) -> None:
        self._log = log
        self._note_position = note_position
        self._parcels: deque[Parcel] = deque()
        self._sizes: deque[int] = deque()
        """What the facts of each weigh, in bytes."""
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._room = asyncio.Event()
        self._room.set()
        self._waiting = 0
        self._bytes = 0
        self._published_at = 0.0

    @property
    def largest(self) -> int:
        """Bytes that one message may have."""
        return self._log.largest

    def put(self, parcel: Parcel) -> None:
        """Queue facts that have just been committed."""
        size = sum([len(entry.event.data or b"") for entry in parcel.entries])
        self._parcels.append(parcel)
        self._sizes.append(size)
        self._waiting += len(parcel.entries)
        self._bytes += size
        self._idle.clear()
        self._wake.set()
        if self._waiting > ROOM or self._bytes > ROOM_BYTES:
            self._room.clear()

    def backlog(self) -> int:
        """How many facts wait."""
        return self._waiting

    async def room(self) -> None:
        """Return when more facts may come: while EVENTS can't be written they are in memory."""
        await self._room.wait()

    async def drained(self) -> None:
        """Return when everything queued is published."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._parcels:
                await self._gather()
                await self._publish(self._next())
                self._published_at = asyncio.get_running_loop().time()
            self._idle.set()

    async def _gather(self) -> None:
        """Let more come, when little waits and the last batch was a moment ago."""
        loop = asyncio.get_running_loop()
        pause = self._published_at + MOMENT - loop.time()
        if pause > 0 and self._waiting < ENOUGH:
            await asyncio.sleep(pause)

    def _next(self) -> list[Parcel]:
        parcels: list[Parcel] = []
        count = size = 0
        while self._parcels and (not parcels or self._fits(count, size)):
            parcels.append(self._parcels.popleft())
            count, size = count + len(parcels[-1].entries), size + self._sizes.popleft()
        self._waiting -= count
        self._bytes -= size
        if self._waiting <= ROOM and self._bytes <= ROOM_BYTES:
            self._room.set()
        return parcels

    def _fits(self, count: int, size: int) -> bool:
        return count + len(self._parcels[0].entries) <= MAX_BATCH and size + self._sizes[0] <= MAX_BYTES

    async def _publish(self, parcels: Sequence[Parcel]) -> None:
        entries = [entry for parcel in parcels for entry in parcel.entries]
        while True:
            try:
                await self._log.append(entries)
                break
            except Unavailable:
                await asyncio.sleep(RETRY_AFTER)
            except MessageTooLarge as refused:
                # Not to be told at all is what becomes of it: all others wait behind it.
                entries = [each for each in entries if event_weight(each.event) < self.largest // 2]
                log.error("a fact is not told: %s", refused, extra={"reason": refused.reason})
        for parcel in parcels:
            parcel.published()
        # Parcels of one commit share its last sequence; while one of them waits, none of it is done with.
        waiting = self._parcels[0].sequence if self._parcels else inf
        done = [parcel.sequence for parcel in parcels if parcel.sequence < waiting]
        if done:
            self._note_position(done[-1])
