"""One shard while it is owned: takes the epoch, takes up what was left, then runs until it is lost.

It composes the parts and watches over them; every rule is in one of them. Its memory ends with it: whoever
owns the shard again, this process or another, begins with a new one.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.composing import Composer
from emailflow_runtime.app.contacts import ContactReader, Contacts
from emailflow_runtime.app.departures import Departures
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.flow_runner import FlowRunner
from emailflow_runtime.app.inhand import POISONED, OneByOne
from emailflow_runtime.app.lanes import Lanes
from emailflow_runtime.app.needs import Transports
from emailflow_runtime.app.progress import Barrier, Reading
from emailflow_runtime.app.recovery import Found, Recovery
from emailflow_runtime.app.relay import Relay
from emailflow_runtime.app.replay import FORGOTTEN, History, Replayer
from emailflow_runtime.app.reporting import Reporter, Reports
from emailflow_runtime.app.sender import GIVE_UP_AFTER, START_WITHIN, Sender
from emailflow_runtime.app.store_clock import StoreClock
from emailflow_runtime.app.stores import (
    Consents,
    DeadLetters,
    EnrolmentKey,
    EventLog,
    Feeds,
    RecordHead,
    StateStore,
)
from emailflow_runtime.app.telemetry import SILENCE, Telemetry
from emailflow_runtime.app.timers import Timers
from emailflow_runtime.app.waits import Wait
from emailflow_runtime.app.writer import Writer
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.inputs import JourneyBroken, MailBroken, OutcomeKnown
from emailflow_runtime.core.outcomes import Unknown
from emailflow_runtime.errors import EmailFlowError, EpochLost, ProgramNotFound, Unavailable

RESTART_AFTER = 1.0
"""Seconds before a part that failed is started again."""
CLOSE_WITHIN = 0.5
HEARD_WITHIN = 10.0
"""Seconds that a new owner waits for programs that journeys are on. Longer, and they are gone."""

log = logging.getLogger(__name__)


class Outside(msgspec.Struct, frozen=True):
    """Everything of the outside that a shard needs."""

    catalog: Catalog
    log: EventLog
    feeds: Feeds
    dead_letters: DeadLetters
    composer: Composer
    transports: Transports
    consents: Consents
    telemetry: Telemetry = SILENCE
    history: History = FORGOTTEN
    lanes: Lanes = msgspec.field(default_factory=Lanes)
    """Shared by all shards of a process."""
    turn: asyncio.Lock = msgspec.field(default_factory=asyncio.Lock)
    """The same: whose turn it is where inputs are taken one by one."""
    reports: Reports | None = None
    """None: nobody wants to know how the flows stand."""
    lost: Mapping[str, int] = {}
    """Events, by flow, that the janitor has purged unread; shard 0 reports them."""


class Shard:
    """One shard. `ready` is set once it decides."""

    def __init__(self, index: int, store: StateStore, outside: Outside) -> None:
        self.ready = asyncio.Event()
        self._ended = asyncio.Event()
        self._index = index
        self._store = store
        self._outside = outside
        self._runners: dict[str, FlowRunner] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._clock = StoreClock(store)
        self._writer = Writer(store)
        self._one_by_one = OneByOne(self._writer, outside.turn)
        self._relay = Relay(outside.log, self._writer.note_relayed)
        self._reading = Reading()
        self._contacts_feed = outside.feeds.contacts(index)
        self._barrier = Barrier(outside.log, index, self._reading, self._contacts_feed)
        contacts = Contacts(store, self._writer)
        self._census = Census()
        self._desk = Desk(
            shard=index,
            catalog=outside.catalog,
            contacts=contacts,
            enrolments=Enrolments(store),
            writer=self._writer,
            relay=self._relay,
            dead_letters=outside.dead_letters,
            dispatch=self._dispatch,
            arm=self._arm,
            census=self._census,
            telemetry=outside.telemetry,
        )
        outside.telemetry.relaying(index, self._relay.backlog)
        self._recovery = Recovery(store, self._desk, self._clock)
        self._sender = Sender(
            catalog=outside.catalog,
            desk=self._desk,
            composer=outside.composer,
            transports=outside.transports,
            consents=outside.consents,
            clock=self._clock,
            runners=self._runners,
            lanes=outside.lanes,
            search=self._waiting,
        )
        self._contact_reader = ContactReader(
            self._contacts_feed,
            contacts,
            catalog=outside.catalog,
            writer=self._writer,
            reading=self._reading,
            consents=outside.consents,
            dead_letters=outside.dead_letters,
            one_by_one=self._one_by_one,
        )
        self._departures = Departures(store, self._desk, outside.catalog, self._clock)
        self._timers = Timers(self._clock, self._desk, outside.catalog, self._runners, self._one_by_one)

    @property
    def committing_for(self) -> float:
        """Seconds since the commit under way began; 0: none is."""
        return self._writer.committing_for

    async def run(self) -> None:
        """Own the shard until cancelled. Raises EpochLost when somebody else owns it."""
        began = asyncio.get_running_loop().time()
        epoch = await self._store.claim()
        await self._clock.set()
        left = await self._store.in_hand()
        # Whoever was here before may have put words that this process has not heard of yet.
        await self._outside.consents.catch_up()
        telemetry = self._outside.telemetry
        # Nothing is sent before these have been decided, whoever read them.
        self._reading.begin(await self._barrier.end())
        relayed = await self._store.relay_position()
        self._writer.note_relayed(relayed)
        found = await self._recovery.scan(relayed, self._found)
        with contextlib.suppress(TimeoutError):
            # The owner before may have let somebody in by plans that this process has not heard of yet.
            async with asyncio.timeout(HEARD_WITHIN):
                await self._outside.catalog.has(self._census.revisions())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._writer.run())
                group.create_task(self._relay.run())
                await self._recovery.relay_again(found.unrelayed)
                await self._one_by_one.begin(left)
                group.create_task(self._keep("contacts", self._contact_reader.run))
                group.create_task(self._keep("timers", self._timers.run))
                group.create_task(self._keep("time", self._clock.keep))
                group.create_task(self._serve_flows())
                group.create_task(self._keep("departures", self._departures.run))
                group.create_task(self._take_up(found))
                if (reports := self._outside.reports) is not None:
                    unread = self._outside.lost if self._index == 0 else {}
                    reporter = Reporter(
                        self._index,
                        self._outside.catalog,
                        self._census,
                        reports,
                        epoch=epoch,
                        committed=self._desk.committed,
                        lost=unread,
                    )
                    group.create_task(self._keep("reports", reporter.run))
                self.ready.set()
                telemetry.owned(self._index, held=True)
                telemetry.holding(self._index, self._census.holding)
                telemetry.taken_over(
                    self._index, clean=left.clean, seconds=asyncio.get_running_loop().time() - began
                )
        except BaseExceptionGroup as ended:
            if (lost := ended.subgroup(EpochLost)) is not None:
                telemetry.lost(self._index)
                raise EpochLost(str(lost.exceptions[0])) from ended
            raise
        finally:
            self.ready.clear()
            self._ended.set()
            telemetry.owned(self._index, held=False)
            await self._close()

    async def stop(self) -> None:
        """Finish what has been begun: hand-overs, commits, publications. Nothing new is taken.

        Returns at once when the shard is lost, before or meanwhile: what was begun is the next owner's.
        """
        self._stop_deciding()
        self._one_by_one.end()
        tasks = [asyncio.create_task(each) for each in (self._finish(), self._ended.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        [finished, _] = await asyncio.gather(*tasks, return_exceptions=True)
        if isinstance(finished, Exception):
            raise finished

    async def _finish(self) -> None:
        await self._sender.drained()
        await self._desk.remembered()
        await self._relay.drained()
        await self._desk.committed()

    def _dispatch(self, key: EnrolmentKey, command: SendMail) -> None:
        self._sender.dispatch(key, command)

    def _arm(self, wait: Wait, before: int) -> None:
        self._timers.arm(wait, before)

    def _found(self, head: RecordHead) -> None:
        self._census.found(head)
        self._timers.found(head)

    def _waiting(self) -> AsyncIterator[tuple[EnrolmentKey, SendMail, bool]]:
        return self._recovery.due(self._sender.is_under_way)

    def _stop_deciding(self) -> None:
        for runner in self._running.values():
            runner.cancel()
        self._timers.stop()
        self._sender.stop()

    async def _close(self) -> None:
        """Leave nothing behind that pulls, decides or sends."""
        self._stop_deciding()
        self._sender.abandon()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        feeds = [self._contacts_feed, *(each.feed for each in self._runners.values())]
        with contextlib.suppress(TimeoutError):
            # What they give back only spares the next owner a wait.
            async with asyncio.timeout(CLOSE_WITHIN):
                await asyncio.gather(*(feed.close() for feed in feeds), return_exceptions=True)

    # --- flows --------------------------------------------------------------------------------------

    async def _serve_flows(self) -> None:
        """Run every flow that there is, and no other."""
        while True:
            wanted = set(self._outside.catalog.flows())
            for flow in sorted(wanted - self._running.keys()):
                self._start(flow)
            gone = sorted(self._running.keys() - wanted)
            for flow in gone:
                self._running.pop(flow).cancel()
                self._timers.pause(flow)
            for feed in [self._runners.pop(flow).feed for flow in gone]:
                await feed.close()
            await self._outside.catalog.flows_differ(wanted)

    def _start(self, flow: str) -> None:
        runner = FlowRunner(
            flow,
            self._outside.feeds.flow(flow, self._index),
            desk=self._desk,
            catalog=self._outside.catalog,
            reading=self._reading,
            barrier=self._barrier,
            replayer=Replayer(self._outside.history, self._index),
            one_by_one=self._one_by_one,
        )
        self._runners[flow] = runner
        self._running[flow] = asyncio.create_task(self._keep(flow, runner.run))
        self._timers.resume(flow)

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep a part running: one that fails is its own problem, and is started again."""
        while True:
            try:
                await run()
            except EpochLost:
                raise
            except EmailFlowError as error:
                log.warning("%s stopped: %s", name, error)
            except Exception:
                log.exception("%s failed", name)
            await asyncio.sleep(RESTART_AFTER)

    # --- take-over ----------------------------------------------------------------------------------

    async def _take_up(self, found: Found) -> None:
        """Send what was asked for, give up on what nobody will know."""
        async for key, command in self._recovery.unsent(found.requested):
            try:
                if not self._one_by_one.again or await self._harmless(key, command.mail):
                    self._sender.dispatch(key, command)
            except (EpochLost, Unavailable):
                raise
            except Exception:  # as below
                log.exception("a mail can't be taken up", extra={"flow": key[0], "mail": command.mail})
        if not found.attempted:
            return
        # The owner before may have started handing over as late as its intents allow.
        abandoned = [each async for each in self._recovery.unsent(found.attempted)]
        await asyncio.sleep(START_WITHIN + GIVE_UP_AFTER)
        by_flow: dict[str, list[tuple[EnrolmentKey, SendMail]]] = {}
        for key, command in abandoned:
            by_flow.setdefault(key[0], []).append((key, command))
        await asyncio.gather(*(self._abandon_all(flow, mails) for flow, mails in by_flow.items()))

    async def _abandon_all(self, flow: str, mails: Sequence[tuple[EnrolmentKey, SendMail]]) -> None:
        """Say of these mails of one flow that nobody will know, as soon as the flow is usable."""
        for key, command in mails:
            while True:
                try:
                    await self._outside.catalog.until_usable(flow)
                    await self._abandon(key, command)
                except ProgramNotFound:
                    continue
                except Exception:  # one broken journey must not hold the others
                    log.exception(
                        "an outcome can't be decided on", extra={"flow": flow, "mail": command.mail}
                    )
                break

    async def _harmless(self, key: EnrolmentKey, mail: str) -> bool:
        """Whether the process survives making this mail; one that many did not is not made any more."""
        async with self._one_by_one.holding(f"mail {mail}") as poison:
            if not poison:
                await self._sender.rehearse(key, mail)
                return True
        now = self._clock.now()
        await self._desk.decide(key, MailBroken(at=now, mail=mail, reason="PoisonInput", message=POISONED))
        return False

    async def _abandon(self, key: EnrolmentKey, command: SendMail) -> None:
        mail, now = command.mail, self._clock.now()
        journey = (await self._desk.entry(key)).enrolment.journeys.get(command.instance)
        if journey is None or journey.mail is None or journey.mail.id != mail:
            return
        outcome = Unknown("OwnerLost", "the runtime ended between the intent and the outcome")
        known = OutcomeKnown(at=now, mail=mail, attempt=journey.mail.attempts, outcome=outcome)
        delivery = await self._sender.delivery_of(key, mail)
        async with self._one_by_one.holding(f"outcome {mail}") as poison:
            if poison:
                # An ended journey only notes what became of its mail.
                broken = JourneyBroken(at=now, journey=journey.id, reason="PoisonInput", message=POISONED)
                await self._desk.decide(key, broken)
            await self._desk.decide(key, known, delivery)
