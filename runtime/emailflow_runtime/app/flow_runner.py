"""One flow on one shard: takes its events in order, decides, acknowledges after the commit.

An event that can't be decided about three times is a dead letter; it stops nothing behind it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from emailflow_api.durations import seconds
from emailflow_api.expressions import bind
from emailflow_api.jetstream.topology import REPLAY_REQUESTED, SECOND
from emailflow_api.plans import FlowPlan
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.inhand import POISONED, OneByOne
from emailflow_runtime.app.progress import RECHECK, Barrier, Reading, Watermark, catch_up
from emailflow_runtime.app.replay import Replayer
from emailflow_runtime.app.stores import DeadLetter, Delivered, DeliveredEvent, Feed, Standing
from emailflow_runtime.core.contact import Contact, event_view
from emailflow_runtime.core.inputs import EventArrived
from emailflow_runtime.core.publication import MAX_HOPS, hops
from emailflow_runtime.core.replays import read_replay
from emailflow_runtime.errors import EmailFlowError, ProgramNotFound

ATTEMPTS = 3
"""How often an input may fail before it is a dead letter."""

log = logging.getLogger(__name__)


class FlowRunner:
    """Runs until cancelled, or until the flow is gone. `mark` is how far it has decided."""

    def __init__(
        self,
        flow: str,
        feed: Feed,
        *,
        desk: Desk,
        catalog: Catalog,
        reading: Reading,
        barrier: Barrier,
        replayer: Replayer,
        one_by_one: OneByOne,
    ) -> None:
        self.flow = flow
        self.feed = feed
        self.mark = Watermark()
        self._desk = desk
        self._catalog = catalog
        self._reading = reading
        self._barrier = barrier
        self._replayer = replayer
        self._one_by_one = one_by_one
        self._typed: tuple[FlowPlan | None, frozenset[str]] = (None, frozenset())
        """The types that the flow reads, by its plan."""
        self._acknowledging: set[asyncio.Task[None]] = set()

    @property
    def types(self) -> frozenset[str]:
        """The CloudEvents types that the flow reads now: those of every revision that a journey may be on, as
        its consumer is filtered by them."""
        plan = self._catalog.flow(self.flow)
        if plan is not self._typed[0]:
            revisions = (plan.revision, *plan.earlier) if plan else ()
            programs = [self._catalog.programs.get(each) for each in revisions]
            read = [program.program.types() for program in programs if program is not None]
            self._typed = (plan, frozenset({REPLAY_REQUESTED}.union(*read)) if read else frozenset())
        return self._typed[1]

    async def passed(self) -> None:
        """Return when this flow has decided everything that stands in EVENTS now."""
        await self._barrier.passed(self.mark, self.types, self.feed)

    async def run(self) -> None:
        """Read and decide."""
        end = await self._barrier.end()
        suspect = await self._one_by_one.limit(self.feed)
        standing = await self.feed.take_over()
        await self._hear_of_plan(standing)
        self.mark.advance(standing.floor)
        await catch_up(self.mark, self.feed, end)
        while True:
            await self._desk.room()
            # By no plan, or by half of one, events would be acknowledged that nobody has decided on.
            await self._catalog.until_usable(self.flow)
            batch = await self.feed.next_batch()
            events = [each for each in batch if isinstance(each, DeliveredEvent)]
            if not self.types.issuperset([each.event.type for each in events]):
                await self._hear_of_plan()
            await self._barrier.read(events[-1].sequence)
            for event in events:
                if event.sequence <= suspect:
                    await self._take_alone(event)
                    self.mark.advance(event.sequence)
            others = [each for each in events if each.sequence > suspect]
            await self._load_when_released([each.contact for each in others if each.contact])
            for event in others:
                await self._take_when_usable(event)
                self.mark.advance(event.sequence)
            for event in events:
                event.event.forget_large()
            task = asyncio.create_task(self._acknowledge(self._desk.remembered(), batch))
            self._acknowledging.add(task)
            task.add_done_callback(self._acknowledging.discard)

    async def _hear_of_plan(self, standing: Standing | None = None) -> None:
        """Return when the plan is here that the consumer was made for.

        By an older one events of types that it does not know would be acknowledged undecided, and a new owner
        would let people in on what has drained, and is gone soon.
        """
        while standing is None or not self._catalog.goes_by(self.flow, standing.plan):
            if standing is not None:
                log.info("%s waits for its plan", self.flow)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RECHECK):
                        await self._catalog.differ_from(self._catalog.plans)
            try:
                standing = await self.feed.standing()
            except EmailFlowError as away:
                log.info("the plan of a consumer is not known: %s", away)
                await asyncio.sleep(RECHECK)

    async def _load_when_released(self, contacts: Sequence[str]) -> None:
        """Return when the flow is usable and not suspended, and these are in memory: reading them may take
        long enough for somebody to suspend it."""
        await self._catalog.until_released(self.flow)
        await self._desk.load(self.flow, contacts)
        while self._catalog.is_suspended(self.flow):
            await self._catalog.until_released(self.flow)
            await self._desk.load(self.flow, contacts)

    async def _acknowledge(self, committed: asyncio.Future[int], batch: Sequence[Delivered]) -> None:
        await self._desk.kept()
        await committed
        self.feed.acknowledge(batch)

    async def _take_alone(self, delivered: DeliveredEvent) -> None:
        held = True
        while held:
            await self._load_when_released([delivered.contact] if delivered.contact else [])
            async with self._one_by_one.holding(f"{self.flow} {delivered.sequence}") as poison:
                # Nobody's turn is kept while the flow is suspended.
                held = self._catalog.is_suspended(self.flow)
                if held:
                    continue
                if poison:
                    self._dead(delivered, "PoisonInput", POISONED)
                    await self._desk.kept()
                    continue
                try:
                    await self._take(delivered)
                except ProgramNotFound:
                    held = True

    async def _take_when_usable(self, delivered: DeliveredEvent) -> None:
        while True:
            try:
                await self._take(delivered)
                return
            except ProgramNotFound:
                # It says nothing about the event, which waits like all the others.
                await self._catalog.until_usable(self.flow)

    async def _take(self, delivered: DeliveredEvent) -> None:
        """Decide on an event. Raises ProgramNotFound: then nothing is decided."""
        if delivered.redrive is not None and delivered.redrive.flow != self.flow:
            return
        if delivered.event.type == REPLAY_REQUESTED:
            await self._replay(delivered)
            return
        if hops(delivered.event) > MAX_HOPS:
            self._dead(delivered, "LoopDetected", f"more than {MAX_HOPS} events in a row led to this one")
        elif not delivered.contact:
            self._without_contact(delivered)
        else:
            await self._decide(delivered)

    async def _replay(self, delivered: DeliveredEvent) -> None:
        """Read again what is asked for; one that was delivered again meanwhile is done already."""
        replay = read_replay(delivered.event)
        if replay is None or replay.flow != self.flow or delivered.sequence <= self.mark.value:
            return
        remembered = int(seconds(self._catalog.plans.runtime.retention_dedupe)) * SECOND
        await self._replayer.replay(
            replay,
            end=delivered.sequence - 1,
            oldest=delivered.at - remembered,
            types=self.types,
            load=lambda contacts: self._desk.load(self.flow, contacts),
            decide=lambda contact, arrived: self._desk.decide((self.flow, contact), arrived),
            settle=self._desk.settled,
        )

    def _without_contact(self, delivered: DeliveredEvent) -> None:
        """Keep an event that would have let somebody in, if it said whom."""
        plan = self._catalog.flow(self.flow)
        if plan is None:
            raise ProgramNotFound(self.flow)
        if not self._catalog.may_read(plan, delivered.event):
            return
        nobody = bind(event=event_view(delivered.event), contact=Contact("").view(), now=delivered.at)
        if self._catalog.programs[plan.revision].admits(delivered.event, nobody):
            expected = "expected data.email, an address as subject, or what the EventType maps"
            self._dead(delivered, "NoContact", f"the event names no contact: {expected}")

    async def _decide(self, delivered: DeliveredEvent) -> None:
        arrived = EventArrived(delivered.at, delivered.event, delivered.sequence, delivered.redrive)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._desk.decide((self.flow, delivered.contact), arrived)
                return
            except ProgramNotFound:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the events behind it
                log.warning(
                    "input failed",
                    extra={"flow": self.flow, "attempt": attempt, "error": type(error).__name__},
                )
                failure = error
        self._dead(delivered, "PoisonInput", f"{type(failure).__name__}: {failure}")
        # What comes next of this contact would say that this one has been considered.
        await self._desk.kept()

    def _dead(self, delivered: DeliveredEvent, reason: str, message: str) -> None:
        step = delivered.redrive.step if delivered.redrive else ""
        event, contact, sequence = delivered.event, delivered.contact, delivered.sequence
        self._desk.keep(DeadLetter(reason, message, self.flow, event, contact, sequence, step))
