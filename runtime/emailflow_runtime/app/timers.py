"""Timers: a journey whose time has come waits at its flow's barrier, then moves on.

The owner keeps every wait in memory: it has read all of them at its take-over, and has decided on the others
itself (ADR 16). So nothing but the record's `wakeAt` has to be on disk, and a process that dies takes nothing
with it.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.flow_runner import ATTEMPTS, FlowRunner
from emailflow_runtime.app.inhand import POISONED, OneByOne
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.store_clock import LOOK_AGAIN, SECOND
from emailflow_runtime.app.stores import RecordHead
from emailflow_runtime.app.waits import Wait, Waits
from emailflow_runtime.core.inputs import JourneyBroken, TimerFired
from emailflow_runtime.core.journey import Journey
from emailflow_runtime.errors import EmailFlowError, EpochLost, ProgramNotFound, Unavailable

AT_ONCE = 500
"""Journeys that are loaded together: each question takes as long as dozens of journeys in it."""
HANDED_OUT = 10 * AT_ONCE
"""Waits that are taken out without a pause: more would hold the event loop, and with it the lease."""
RETRY_AFTER = 1.0
TRY_AGAIN = 2 * SECOND
"""After so long a wake-up that failed is tried again (nanoseconds)."""

log = logging.getLogger(__name__)


class Timers:
    """The waits of one shard. `runners` are the flows that run here, by id.

    Each journey that waits has an entry in `_waits` or `_due`, for the moment that it waits for or an earlier
    one: an entry that comes too early is put back.
    """

    def __init__(
        self,
        clock: Clock,
        desk: Desk,
        catalog: Catalog,
        runners: Mapping[str, FlowRunner],
        one_by_one: OneByOne,
    ) -> None:
        self._clock = clock
        self._desk = desk
        self._catalog = catalog
        self._runners = runners
        self._one_by_one = one_by_one
        self._waits = Waits()
        self._sooner = asyncio.Event()
        self._taken = 0
        """What was due up to here may have been taken out."""
        self._suspect = 0
        """What was due up to here is taken one by one: owners before may have died of it."""
        self._due: dict[str, deque[Wait]] = {}
        """By flow, what is due and has not had its turn."""
        self._working: dict[str, asyncio.Task[None]] = {}
        self._stopped = False
        self._failures: dict[tuple[str, ...], list[str]] = {}
        """By journey's place: what its wake-up failed with, each time."""

    def found(self, head: RecordHead) -> None:
        """A record that the scan has found."""
        if head.wake_at:
            self._waits.put(Wait(head.wake_at, head.flow, head.contact, head.instance))

    def arm(self, wait: Wait, before: int = 0) -> None:
        """A journey waits from now on. `before`: what the one at its place waited for until now, 0: nothing.
        Then there is an entry already, which is how a cart that changes each minute has only one."""
        if self._taken < before <= wait.due:
            return
        soonest = self._waits.next_due()
        self._waits.put(wait)
        if soonest is None or wait.due < soonest:
            self._sooner.set()

    async def run(self) -> None:
        """Wake whose time has come, until cancelled. Flows don't wait for each other."""
        try:
            if self._one_by_one.again:
                self._suspect = self._clock.now()
            while True:
                await self._fire()
        finally:
            # They wait for what may never come once the shard is somebody else's.
            for task in self._working.values():
                task.cancel()

    def stop(self) -> None:
        """Wake nobody any more."""
        self._stopped = True
        for flow in list(self._working):
            self.pause(flow)

    async def _fire(self) -> None:
        """Hand out what is due, and wait for the next one."""
        self._sooner.clear()
        now = self._clock.now()
        self._taken = max(self._taken, now)
        for wait in self._waits.take(now, HANDED_OUT):
            self._due.setdefault(wait.flow, deque()).append(wait)
        for flow in list(self._due):
            self.resume(flow)
        due, seconds = self._waits.next_due(), LOOK_AGAIN
        if due is not None:
            # Rounded up: a timer may be late, never early. And clocks may be set.
            seconds = min(seconds, (due - self._clock.now() + 1) / SECOND)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._sooner.wait()

    # --- by flow ------------------------------------------------------------------------------------

    def resume(self, flow: str) -> None:
        """Wake what is due in this flow, if it runs here."""
        working = self._working.get(flow)
        idle = (working is None or working.done()) and not self._stopped
        if idle and flow in self._due and flow in self._runners:
            self._working[flow] = asyncio.create_task(self._work(self._runners[flow], self._due[flow]))

    def pause(self, flow: str) -> None:
        """The flow does not run here any more. What is due in it waits until it does."""
        if (working := self._working.pop(flow, None)) is not None:
            working.cancel()

    async def _work(self, runner: FlowRunner, due: deque[Wait]) -> None:
        """Wake what is due, when there is a plan to go by."""
        flow = runner.flow
        while due:
            try:
                await self._catalog.until_released(flow)
                await self._desk.room()
                # Nobody who falls due while these wait at the barrier: it was not asked about them.
                some = list(islice(due, AT_ONCE))
                await runner.passed()
                await self._load(flow, some)
                coming = list(islice(due, AT_ONCE, 2 * AT_ONCE))
                ahead = asyncio.create_task(self._load(flow, coming))
                # It has asked by then, so the store reads while these are decided.
                await asyncio.sleep(0)
                for each in some:
                    if self._catalog.is_suspended(flow):
                        break
                    await self._wake(each)
                    due.popleft()
                await ahead
            except EmailFlowError as error:
                log.warning("timers wait: %s", error.reason, extra={"flow": flow})
                await asyncio.sleep(RETRY_AFTER)
        del self._due[flow]

    async def _load(self, flow: str, waits: Sequence[Wait]) -> None:
        """Read together what these are about; what can't be read shows when its turn comes."""
        try:
            await self._desk.load(flow, [each.contact for each in waits])
        except (EpochLost, ProgramNotFound, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one broken record must not hold the others
            log.warning("journeys are read one by one: %s", type(error).__name__, extra={"flow": flow})

    async def _wake(self, wait: Wait) -> None:
        """Move the journey on that waited; one that breaks is tried again, a few times, and holds nobody."""
        failures = self._failures.get(wait[1:], [])
        try:
            await self._move_on(wait, failures)
            self._failures.pop(wait[1:], None)
        except (EpochLost, ProgramNotFound, Unavailable):
            raise
        except Exception as error:
            log.exception("timer failed", extra={"flow": wait.flow})
            self._failures[wait[1:]] = [*failures, f"{type(error).__name__}: {error}"]
            if len(failures) < 2 * ATTEMPTS:
                self.arm(wait._replace(due=self._clock.now() + TRY_AGAIN))
                return
            # It can't even be given up. The next owner finds it in STATE, and tries again.
            del self._failures[wait[1:]]
            reason = error.reason if isinstance(error, EmailFlowError) else "PoisonInput"
            log.error("a journey is left alone", extra={"flow": wait.flow, "reason": reason})

    async def _move_on(self, wait: Wait, failures: Sequence[str]) -> None:
        key = (wait.flow, wait.contact)
        journey = (await self._desk.entry(key)).enrolment.journeys.get(wait.instance)
        now = self._clock.now()
        if journey is None or not journey.timer:
            return
        if journey.wake_at > now:
            # It waits for something else by now.
            self.arm(wait._replace(due=journey.wake_at))
        elif len(failures) >= ATTEMPTS:
            await self._give_up(key, journey, now, failures[-1])
        elif wait.due <= self._suspect:
            await self._wake_alone(key, journey, now)
        else:
            await self._desk.decide(key, TimerFired(now, journey.id, journey.timer))

    async def _wake_alone(self, key: tuple[str, str], journey: Journey, now: int) -> None:
        async with self._one_by_one.holding(f"timer {journey.id}.{journey.timer}") as poison:
            if poison:
                await self._give_up(key, journey, now, POISONED)
            else:
                await self._desk.decide(key, TimerFired(now, journey.id, journey.timer))

    async def _give_up(self, key: tuple[str, str], journey: Journey, now: int, message: str) -> None:
        broken = JourneyBroken(at=now, journey=journey.id, reason="PoisonInput", message=message)
        await self._desk.decide(key, broken)
