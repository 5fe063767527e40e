"""Timers: a journey whose time has come waits at its flow's barrier, then moves on.

The owner keeps every wait in memory: it has read all of them at its take-over, and has decided on the others
itself (ADR 16). So nothing but the record's `wakeAt` has to be on disk, and a process that dies takes nothing
with it. Time is the store's, as events have it: no clock of the process decides that a wait is over.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.flow_runner import ATTEMPTS, FlowRunner
from emailflow_runtime.app.inhand import POISONED, OneByOne
from emailflow_runtime.app.stores import RecordHead, StateStore
from emailflow_runtime.app.waits import Wait, Waits
from emailflow_runtime.core.inputs import JourneyBroken, TimerFired
from emailflow_runtime.core.journey import Journey
from emailflow_runtime.errors import EmailFlowError, Unavailable

SECOND = 1_000_000_000
AT_ONCE = 500
"""Journeys that are loaded together: each question takes as long as dozens of journeys in it."""
LOOK_AGAIN = 30.0
"""Seconds after which the store is asked again: so long may a clock run away, or an owner not know that it is
none any more."""
RETRY_AFTER = 1.0

log = logging.getLogger(__name__)


class StoreClock:
    """The store's time, carried on by the event loop's between two answers. It is never ahead: an answer is
    as old as its way."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._ahead = 0
        """By so much is the store's time ahead of the loop's."""

    async def set(self) -> None:
        """Ask the store; keeps trying. Until it answers, what was known goes on."""
        while True:
            try:
                self._ahead = await self._store.now() - self._passed()
            except Unavailable as away:
                log.info("the store's time is not known: %s", away)
                await asyncio.sleep(RETRY_AFTER)
            else:
                return

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return self._ahead + self._passed()

    @staticmethod
    def _passed() -> int:
        return int(asyncio.get_running_loop().time() * SECOND)


class Timers:
    """The waits of one shard. `runners` are the flows that run here, by id."""

    def __init__(
        self,
        store: StateStore,
        desk: Desk,
        catalog: Catalog,
        runners: Mapping[str, FlowRunner],
        one_by_one: OneByOne,
    ) -> None:
        self._clock = StoreClock(store)
        self._desk = desk
        self._catalog = catalog
        self._runners = runners
        self._one_by_one = one_by_one
        self._waits = Waits()
        self._sooner = asyncio.Event()
        self._suspect = 0
        """What was due up to here is taken one by one: owners before may have died of it."""
        self._due: dict[str, deque[Wait]] = {}
        """By flow, what is due and has not had its turn."""
        self._working: dict[str, asyncio.Task[None]] = {}
        self._failed: Counter[Wait] = Counter()

    def found(self, head: RecordHead) -> None:
        """A record that the scan has found."""
        if head.wake_at:
            self._waits.put(Wait(head.wake_at, head.flow, head.contact, head.instance))

    def arm(self, wait: Wait) -> None:
        """A journey waits from now on."""
        before = self._waits.next_due()
        self._waits.put(wait)
        if before is None or wait.due < before:
            self._sooner.set()

    async def run(self) -> None:
        """Wake whose time has come, until cancelled. Flows don't wait for each other. Raises EpochLost."""
        try:
            await self._clock.set()
            if self._one_by_one.again:
                self._suspect = self._clock.now()
            while True:
                await self._fire()
        finally:
            # They wait for what may never come once the shard is somebody else's.
            for task in self._working.values():
                task.cancel()

    async def keep_time(self) -> None:
        """Go by the store's time, until cancelled. Raises EpochLost: nothing else tells it to an owner that
        no input comes to, and nobody would wake whom the next owner has let wait."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            await self._clock.set()
            self._sooner.set()

    async def _fire(self) -> None:
        """Hand out what is due, and wait for the next one."""
        self._sooner.clear()
        for wait in self._waits.take(self._clock.now()):
            self._due.setdefault(wait.flow, deque()).append(wait)
        for flow in self._due:
            self.resume(flow)
        due = self._waits.next_due()
        # Rounded up: a timer may be late, never early.
        seconds = None if due is None else (due - self._clock.now() + 1) / SECOND
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sooner.wait()

    # --- by flow ------------------------------------------------------------------------------------

    def resume(self, flow: str) -> None:
        """Wake what is due in this flow, if it runs here."""
        working = self._working.get(flow)
        if flow in self._due and flow in self._runners and (working is None or working.done()):
            self._working[flow] = asyncio.create_task(self._work(self._runners[flow], self._due[flow]))

    def pause(self, flow: str) -> None:
        """The flow does not run here any more. What is due in it waits until it does."""
        if (working := self._working.pop(flow, None)) is not None:
            working.cancel()

    async def _work(self, runner: FlowRunner, due: deque[Wait]) -> None:
        while due:
            try:
                await self._catalog.until_released(runner.flow)
                some = list(islice(due, AT_ONCE))
                await runner.passed()
                await self._desk.room()
                await self._desk.load(runner.flow, [each.contact for each in some])
                for each in some:
                    await self._wake(each)
                    due.popleft()
            except EmailFlowError as error:
                log.warning("timers wait: %s", error, extra={"flow": runner.flow})
                await asyncio.sleep(RETRY_AFTER)
        del self._due[runner.flow]

    async def _wake(self, wait: Wait) -> None:
        """Move the journey on that waited; one broken journey must not hold the others."""
        key, now = (wait.flow, wait.contact), self._clock.now()
        journey = (await self._desk.entry(key)).enrolment.journeys.get(wait.instance)
        if journey is None or not journey.timer or journey.wake_at > now:
            # It has moved on, or waits for something else by now.
            return
        try:
            if wait.due <= self._suspect:
                await self._wake_alone(key, journey, now)
            else:
                await self._desk.decide(key, TimerFired(now, journey.id, journey.timer))
            self._failed.pop(wait, None)
        except EmailFlowError:
            raise
        except Exception as error:
            log.exception("timer failed", extra={"flow": wait.flow, "journey": journey.id})
            await self._failed_with(error, wait, journey, now)

    async def _wake_alone(self, key: tuple[str, str], journey: Journey, now: int) -> None:
        async with self._one_by_one.holding(f"timer {journey.id}.{journey.timer}") as poison:
            if poison:
                await self._give_up(key, journey, now, POISONED)
            else:
                await self._desk.decide(key, TimerFired(now, journey.id, journey.timer))

    async def _failed_with(self, error: Exception, wait: Wait, journey: Journey, now: int) -> None:
        """Try again, a few times."""
        failures = self._failed.pop(wait, 0) + 1
        if failures < ATTEMPTS:
            again = wait._replace(due=now + int(RETRY_AFTER * SECOND))
            self._failed[again] = failures
            self.arm(again)
        else:
            message = f"{type(error).__name__}: {error}"
            await self._give_up((wait.flow, wait.contact), journey, now, message)

    async def _give_up(self, key: tuple[str, str], journey: Journey, now: int, message: str) -> None:
        broken = JourneyBroken(at=now, journey=journey.id, reason="PoisonInput", message=message)
        await self._desk.decide(key, broken)
