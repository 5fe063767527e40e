"""The janitor of EVENTS: what is older than `retention.events` goes, unless somebody has yet to read it.

It holds back for a lagging reader for as long again at most; then the reader is behind retention, and what
it lost is counted. It only ever purges up to a sequence, and knows nothing of what events say.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from emailflow_api.durations import seconds
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.errors import EmailFlowError

SECOND = 1_000_000_000
EVERY = 60.0
"""Seconds between rounds."""

log = logging.getLogger(__name__)


class LaggingReader(NamedTuple):
    """A durable reader of EVENTS that has something left to read; `needs` is the sequence of the first.

    `name` is a flow's id, or begins with `_`.
    """

    name: str
    shard: int
    needs: int


class LogKeeping(Protocol):
    """EVENTS, as the janitor sees it. All of it raises Unavailable, or another EmailFlowError."""

    async def sequence_at(self, at: int) -> int:
        """The first sequence stored at this moment (nanoseconds since 1970 UTC) or later; what the next one
        will be, when there is none."""

    async def first_sequence(self) -> int:
        """The first sequence that is there, or will be."""

    async def lagging(self, below: int) -> Sequence[LaggingReader]:
        """The readers that have not read everything below this sequence."""

    async def unread(self, reader: LaggingReader, below: int) -> int:
        """How many events below this sequence the reader has yet to read."""

    async def purge(self, below: int) -> None:
        """Let everything below this sequence go."""


def purge_below(overdue: int, held_long_enough: int, readers: Iterable[LaggingReader]) -> int:
    """Up to which sequence (not itself) EVENTS may go.

    Below `overdue` everything is older than the retention, below `held_long_enough` older than twice it.
    """
    needed = min((reader.needs for reader in readers), default=overdue)
    return max(held_long_enough, min(overdue, needed))


class Janitor:
    """One for each runtime; works while `in_charge`. `lost` counts, by flow, what was purged unread."""

    def __init__(
        self,
        keeping: LogKeeping,
        catalog: Catalog,
        clock: Clock,
        in_charge: Callable[[], bool],
        *,
        note_loss: Callable[[str, int], None] = lambda _flow, _events: None,
        lost: dict[str, int] | None = None,
    ) -> None:
        """`note_loss` hears a flow's id and what it has lost in all."""
        self.lost: dict[str, int] = lost if lost is not None else {}
        self._keeping = keeping
        self._catalog = catalog
        self._clock = clock
        self._in_charge = in_charge
        self._note_loss = note_loss

    async def run(self) -> None:
        """Tidy up until cancelled."""
        while True:
            if self._in_charge():
                try:
                    await self.tidy()
                except EmailFlowError as error:
                    log.warning("EVENTS can't be tidied: %s", error)
            await asyncio.sleep(EVERY)

    async def tidy(self) -> int:
        """One round; the first sequence that is left."""
        now = self._clock.now()
        retention = int(seconds(self._catalog.plans.runtime.retention_events)) * SECOND
        overdue = await self._keeping.sequence_at(now - retention)
        first = await self._keeping.first_sequence()
        if overdue <= first:
            return first
        readers = await self._keeping.lagging(overdue)
        below = purge_below(overdue, await self._keeping.sequence_at(now - 2 * retention), readers)
        if below <= first:
            log.info("EVENTS is held back", extra={"readers": sorted({reader.name for reader in readers})})
            return first
        losses = [
            (reader, await self._keeping.unread(reader, below)) for reader in readers if reader.needs < below
        ]
        await self._keeping.purge(below)
        for reader, events in losses:
            self._note(reader, events)
        return below

    def _note(self, reader: LaggingReader, events: int) -> None:
        if not events:
            return
        self.lost[reader.name] = self.lost.get(reader.name, 0) + events
        log.error("BehindRetention: events were purged unread", extra={"flow": reader.name, "events": events})
        self._note_loss(reader.name, self.lost[reader.name])
