"""The spool as ports: Ingest for what comes in, Journal for what drains.

Whoever waits to be stored goes into one write and one sync. Files are touched in threads only.
"""

import asyncio
import logging
from collections import deque
from pathlib import Path
from typing import NamedTuple

from emailflow_runtime.adapters.spool.records import HEADER, LONGEST, Record
from emailflow_runtime.adapters.spool.refused import RefusedEvents
from emailflow_runtime.adapters.spool.segments import Segments
from emailflow_runtime.app.draining import Spooled
from emailflow_runtime.core.cloudevents import json_format
from emailflow_runtime.core.cloudevents.errors import CodecError
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import Unavailable

SEGMENTS = 16
"""A full spool has about so many files; the bound is honest to one of them."""
SHARE_OF_REFUSED = 16
MAX_GROUP = 500

log = logging.getLogger(__name__)


class SpoolFull(Unavailable):
    """No room, until something is drained."""

    reason = "SpoolFull"


class SpoolUnusable(Unavailable):
    """The spool's disk can't be written."""

    reason = "SpoolUnusable"


class _Waiting(NamedTuple):
    payload: bytes
    accepted: asyncio.Future[None]


class Spool:
    """Events on disk. `run` has to be running for `accept` to return."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """Open the spool as it was left; it takes up to `max_bytes`. Raises SpoolUnusable."""
        self._max_bytes = max_bytes
        try:
            self._segments = Segments(folder, max_bytes // SEGMENTS)
        except OSError as error:
            raise SpoolUnusable(f"spool: can't be opened: {error.strerror}") from error
        self._refused = RefusedEvents(folder, max_bytes // SHARE_OF_REFUSED)
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._grown = asyncio.Event()
        self._empty = asyncio.Event()
        self._durable = self._segments.last
        self._failed = False
        self._writing: asyncio.Task[int] | None = None
        self._tell()

    @property
    def events(self) -> int:
        """How many wait to be drained."""
        return self._durable - self._segments.drained

    @property
    def usable(self) -> bool:
        """Whether the last write succeeded."""
        return not self._failed

    async def until_empty(self) -> None:
        """Return once everything is drained."""
        await self._empty.wait()

    # --- what comes in ------------------------------------------------------------------------------

    async def accept(self, event: CloudEvent) -> None:
        """See Ingest: on the disk of this pod. Raises SpoolFull, SpoolUnusable."""
        payload = json_format.encode(event)
        size = HEADER.size + len(payload)
        if len(payload) > LONGEST or self._segments.size + self._waiting_bytes + size > self._max_bytes:
            raise SpoolFull("the spool is full: the runtime has not taken its events", retry_after=5)
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(payload, accepted))
        self._waiting_bytes += size
        self._wake.set()
        await accepted

    async def run(self) -> None:
        """Store what is waiting, in groups, until cancelled."""
        while True:
            await self._wake.wait()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP))]
            if not self._waiting:
                self._wake.clear()
            await self._store([each for each in group if not each.accepted.done()])
            self._waiting_bytes -= sum(HEADER.size + len(each.payload) for each in group)

    async def close(self) -> None:
        """Close the files, once `run` has ended and a write that it began is over."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
        self._segments.close()

    async def _store(self, group: list[_Waiting]) -> None:
        if not group:
            return
        payloads = [each.payload for each in group]
        self._writing = asyncio.create_task(asyncio.to_thread(self._segments.append, payloads))
        failure: SpoolUnusable | None = None
        try:
            self._durable = await asyncio.shield(self._writing)
        except OSError as error:
            log.error(
                "the spool can't be written: %s", error.strerror, extra={"reason": SpoolUnusable.reason}
            )
            failure = SpoolUnusable("the spool can't be written", retry_after=5)
        self._failed = failure is not None
        self._tell()
        for each in group:
            if each.accepted.done():
                continue
            if failure is None:
                each.accepted.set_result(None)
            else:
                each.accepted.set_exception(failure)

    # --- what drains --------------------------------------------------------------------------------

    async def next_batch(self, *, max_items: int, max_bytes: int) -> list[Spooled]:
        """See Journal."""
        while True:
            await self._grown.wait()
            found = await asyncio.to_thread(
                self._segments.read,
                self._segments.drained,
                self._durable,
                max_items=max_items,
                max_bytes=max_bytes,
            )
            if spooled := [each for each in map(_read, found) if each is not None]:
                return spooled
            # Nothing there that can be read: a file was lost or damaged, and nothing brings it back.
            last = found[-1].sequence if found else self._durable
            log.error("events of the spool up to %d can't be read", last)
            await self.done(last)

    async def done(self, sequence: int) -> None:
        """See Journal. A disk that can't remember it gives the events again after a restart."""
        try:
            await asyncio.to_thread(self._segments.mark_drained, sequence)
        except OSError as error:
            log.warning("how far the spool is drained can't be written: %s", error.strerror)
        self._tell()

    async def set_aside(self, event: CloudEvent, reason: str) -> None:
        """See Journal."""
        try:
            await asyncio.to_thread(self._refused.keep, json_format.encode(event), reason)
        except OSError as error:
            log.error("a refused event can't be kept: %s", error.strerror, extra={"reason": reason})

    def _tell(self) -> None:
        """Wake those who wait for more, or for the end."""
        if self.events > 0:
            self._grown.set()
            self._empty.clear()
        else:
            self._grown.clear()
            self._empty.set()


def _read(record: Record) -> Spooled | None:
    try:
        return Spooled(record.sequence, json_format.decode(record.payload))
    except CodecError:
        log.exception("an event of the spool is none")
        return None
