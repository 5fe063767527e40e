"""How far a shard's readers have come, and the barrier: what was accepted before is decided first.

A fired timer or a send waits at the barrier, so that it never overtakes an event that stood in EVENTS
when it started.
"""

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable

from emailflow_api.jetstream.naming import FACTS
from emailflow_runtime.app.stores import EventLog, Feed
from emailflow_runtime.errors import EmailFlowError, Unavailable

RECHECK = 0.5
"""Seconds to wait for a reader before asking JetStream whether anything is left for it at all."""

TYPES = 10_000
"""CloudEvents types of which it is known where the last event stands."""

log = logging.getLogger(__name__)


class Watermark:
    """A sequence that only grows, and waiting for it."""

    def __init__(self) -> None:
        self.value = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        """A heap by target; the second number keeps equal targets apart."""
        self._waited = 0

    def advance(self, value: int) -> None:
        """Everything up to here has been decided."""
        if value <= self.value:
            return
        self.value = value
        while self._waiting and self._waiting[0][0] <= value:
            reached = heapq.heappop(self._waiting)[2]
            if not reached.done():
                reached.set_result(None)

    async def reached(self, target: int) -> None:
        """Return when the value is at least `target`."""
        if self.value < target:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waited += 1
            heapq.heappush(self._waiting, (target, self._waited, future))
            await future

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for more."""
        return any(not reached.done() for _, _, reached in self._waiting)


class Reading:
    """What the contact reader has read: how far, and where the last event of each type stands.

    Of types that producers invent there is no end, so the ones that came longest ago are forgotten: from then
    on any type counts as read up to there.
    """

    def __init__(self) -> None:
        self.mark = Watermark()
        self._last: dict[str, int] = {}
        self._unread = 0

    def begin(self, end: int) -> None:
        """What stands up to here may have been read by the owner before: any of it may be of any type."""
        self._unread = end

    def note(self, read: Iterable[tuple[str, int]]) -> None:
        """These events (type, sequence) have been applied, in order."""
        sequence = 0
        last = self._last
        for kind, sequence in read:
            last.pop(kind, None)
            last[kind] = sequence
        while len(last) > TYPES:
            self._unread = max(self._unread, last.pop(next(iter(last))))
        self.mark.advance(sequence)

    def last_of(self, types: Iterable[str]) -> int:
        """The sequence up to which there may be an event of one of these types."""
        return max([self._unread, *(self._last.get(kind, 0) for kind in types)])


class Barrier:
    """Waits until everything that EVENTS holds now has been decided. Many waiters share one question."""

    def __init__(self, log: EventLog, shard: int, reading: Reading, contacts: Feed) -> None:
        self._log = log
        self._shard = shard
        self._reading = reading
        self._contacts = contacts
        self._question = asyncio.Lock()
        self._next: _Question | None = None
        self._checks: dict[Watermark, _Check] = {}

    async def end(self) -> int:
        """The sequence of the last event that came into the shard, as of this call or later."""
        if self._next is None:
            self._next = _Question(asyncio.create_task(self._ask()))
        future = self._next.answer()
        return await future

    async def _ask(self) -> int:
        async with self._question:
            # From here on the answer may be older than the call, so later callers need another question.
            self._next = None
            return await self._known(lambda: self._log.last_arrival(self._shard))

    async def _known(self, ask: Callable[[], Awaitable[int]]) -> int:
        while True:
            try:
                return await ask()
            except Unavailable as away:
                log.info("the end of the log is not known: %s", away)
                await asyncio.sleep(RECHECK)

    async def read(self, sequence: int) -> None:
        """Return when the contacts know everything that came in up to here."""
        mark = self._reading.mark
        if mark.value < sequence:
            end = await self.end()
            await self._reached(mark, self._contacts, min(sequence, end), end)

    async def passed(self, mark: Watermark, types: Iterable[str], feed: Feed) -> None:
        """Return when the contacts, and the flow whose mark, types and feed these are, have decided
        everything that stood in EVENTS at this call."""
        end = await self.end()
        await self._reached(self._reading.mark, self._contacts, end, end)
        wanted = self._reading.last_of(types)
        # What journeys did is not for the reader of the contacts to tell of.
        if own := FACTS.intersection(types):
            wanted = max(wanted, await self._known(lambda: self._log.last_fact(self._shard, own)))
            end = max(end, wanted)
        if mark.value < wanted:
            await self._reached(mark, feed, wanted, end)

    async def _reached(self, mark: Watermark, feed: Feed, target: int, end: int) -> None:
        """Wait for a reader; one that JetStream has nothing left for is there already, wherever its last
        event stood (its filter may have changed, or its events may be gone)."""
        if mark.value >= target:
            return
        check = self._checks.get(mark)
        if check is None:
            check = self._checks[mark] = _Check(feed)
            check.task = asyncio.create_task(self._check(mark, check))
        check.end = max(check.end, end)
        await mark.reached(target)

    async def _check(self, mark: Watermark, check: "_Check") -> None:
        """Ask now and then how a reader stands, once for all who wait for it."""
        try:
            while mark.awaited:
                await asyncio.sleep(RECHECK)
                try:
                    await catch_up(mark, check.feed, check.end)
                except EmailFlowError as away:
                    log.info("a feed's standing is not known: %s", away)
        finally:
            del self._checks[mark]


class _Question:
    """What is being asked, and who waits for it: each on its own, so that one who is cancelled takes the
    answer from nobody (`shield` does the same at three times the price, and every mail asks)."""

    def __init__(self, asking: "asyncio.Task[int]") -> None:
        self._waiting: list[asyncio.Future[int]] = []
        asking.add_done_callback(self._tell)

    def answer(self) -> "asyncio.Future[int]":
        """The answer, for one."""
        waiting: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        return waiting

    def _tell(self, asked: "asyncio.Task[int]") -> None:
        failed = None if asked.cancelled() else asked.exception()
        for waiting in self._waiting:
            if waiting.done():
                continue
            if asked.cancelled():
                waiting.cancel()
            elif failed is not None:
                waiting.set_exception(failed)
            else:
                waiting.set_result(asked.result())


class _Check:
    """How a reader is looked after while somebody waits for it; `end`: how far there may be more for it."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.end = 0
        self.task: asyncio.Task[None] | None = None


async def catch_up(mark: Watermark, feed: Feed, end: int) -> None:
    """Let the mark jump to `end` if the feed has nothing pending and all that it delivered is decided: here,
    or by an owner before, whose acknowledgement was on its way while this one took over."""
    standing = await feed.standing()
    if not standing.pending and max(mark.value, standing.floor) >= standing.delivered:
        mark.advance(end)
