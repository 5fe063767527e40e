"""The desk: where an input meets its enrolment. Decides in memory, hands the changes to the one writer.

Deciding never waits, so what one input decides is what the next one sees; what follows outside (a mail,
a publication) waits for the commit.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from emailflow_api.durations import seconds
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.contacts import Contacts
from emailflow_runtime.app.enrolments import Enrolments, Entry
from emailflow_runtime.app.fitting import fitting
from emailflow_runtime.app.relay import Parcel, Relay
from emailflow_runtime.app.slicing import slices
from emailflow_runtime.app.stores import (
    Change,
    DeadLetter,
    DeadLetters,
    EnrolmentKey,
    LogEntry,
    PutRecord,
    PutSeen,
    finished_expiry,
)
from emailflow_runtime.app.telemetry import SILENCE, Telemetry
from emailflow_runtime.app.waits import Wait
from emailflow_runtime.app.writer import Writer
from emailflow_runtime.core.commands import (
    ArmTimer,
    Command,
    IgnoreEvent,
    KeepDeadLetter,
    RecordFact,
    SendMail,
)
from emailflow_runtime.core.contact import MAILS_COUNTED
from emailflow_runtime.core.facts import Fact
from emailflow_runtime.core.inputs import EventArrived, Input
from emailflow_runtime.core.journey import Enrolment, Journey, Record
from emailflow_runtime.core.publication import publish
from emailflow_runtime.core.reactions.arriving import needed_places
from emailflow_runtime.core.reactions.course import Setting
from emailflow_runtime.core.reactions.mailing import Delivery
from emailflow_runtime.core.reactions.react import react
from emailflow_runtime.core.remembering import end, remember
from emailflow_runtime.core.weights import event_weight, gained
from emailflow_runtime.errors import ProgramNotFound

SEEN_AT_ONCE = 64
"""Companion messages that are handed to the writer together; each has 37 KB at most."""
UNTOLD = 1 << 20
"""Bytes of facts of one enrolment that are not in EVENTS yet, with which no event is decided on: a record
carries those of its place."""

Done = asyncio.Future[int]


class Desk:
    """One for each shard. `dispatch` is told of each mail that has been asked for, once that is on disk;
    `arm` of each wait and what its place waited for before, at once."""

    def __init__(
        self,
        *,
        shard: int,
        catalog: Catalog,
        contacts: Contacts,
        enrolments: Enrolments,
        writer: Writer,
        relay: Relay,
        dead_letters: DeadLetters,
        dispatch: Callable[[EnrolmentKey, SendMail], None],
        arm: Callable[[Wait, int], None],
        census: Census,
        telemetry: Telemetry = SILENCE,
    ) -> None:
        self._shard = shard
        self._census = census
        self._catalog = catalog
        self._contacts = contacts
        self._enrolments = enrolments
        self._writer = writer
        self._relay = relay
        self._dead_letters = dead_letters
        self._dispatch = dispatch
        self._arm = arm
        self._telemetry = telemetry
        self._keeping: set[asyncio.Task[None]] = set()
        self._told = asyncio.Event()
        self._marked: dict[EnrolmentKey, Entry] = {}
        self._most_untold = min(UNTOLD, relay.largest // 4)

    async def load(self, flow: str, contacts: Sequence[str]) -> None:
        """Bring what deciding about these contacts in this flow needs into memory, in one go."""
        await self._contacts.load(contacts)
        await self._enrolments.load([(flow, contact) for contact in contacts])

    async def recall(self, keys: Iterable[EnrolmentKey]) -> None:
        """Bring these enrolments, and whom they are about, into memory in one go."""
        wanted = list(keys)
        await self._enrolments.load(wanted)
        await self._contacts.load(contact for _, contact in wanted)

    def known(self, key: EnrolmentKey) -> Entry | None:
        """The enrolment as it is, if it is in memory."""
        return self._enrolments.get(key)

    async def setting(self, key: EnrolmentKey) -> Setting | None:
        """What a reaction about this enrolment may know; None when the flow is not usable."""
        contact = await self._contacts.fetch(key[1])
        flow = self._catalog.flow(key[0])
        if flow is None:
            return None
        timezone = self._catalog.plans.runtime.default_timezone
        return Setting(flow=flow, programs=self._catalog.programs, contact=contact, timezone=timezone)

    def sent(self, contact: str) -> Mapping[str, int]:
        """The mails of a contact that is in memory, as far as they count under caps: id -> moment."""
        return self._contacts.known(contact).sent

    def reserve(self, contact: str, mail: str, at: int) -> None:
        """Count a mail under the contact's caps. Stored no later than what is decided next."""
        horizon = self._catalog.cap_horizon
        before = self._contacts.known(contact)
        if horizon and mail not in before.sent:
            kept = {id_: moment for id_, moment in before.sent.items() if moment > at - horizon}
            for oldest in list(kept)[: max(len(kept) + 1 - MAILS_COUNTED, 0)]:
                del kept[oldest]
            self._contacts.put(replace(before, sent={**kept, mail: at}))

    def release(self, contact: str, mail: str) -> None:
        """A mail that was not sent after all counts no more."""
        before = self._contacts.known(contact)
        if mail in before.sent:
            kept = {id_: moment for id_, moment in before.sent.items() if id_ != mail}
            self._contacts.put(replace(before, sent=kept))

    async def entry(self, key: EnrolmentKey) -> Entry:
        """The enrolment as it is, with everything decided so far."""
        return await self._enrolments.fetch(key)

    async def decide(
        self, key: EnrolmentKey, arrived: Input, delivery: Delivery | None = None
    ) -> tuple[Command, ...]:
        """React and hand over the changes; what was decided. `committed` tells when it is on disk.

        An event that the flow may not read has never been there for it.
        Raises ProgramNotFound: nothing is decided then, so the input must be brought again. Raises
        RecordUnreadable when what STATE holds of the contact can't be read.
        """
        setting = await self.setting(key)
        if setting is None:
            raise ProgramNotFound(key[0])
        if isinstance(arrived, EventArrived) and not self._catalog.may_read(setting.flow, arrived.event):
            return ()
        entry = await self._enrolments.fetch(key)
        if entry.untold > self._most_untold and isinstance(arrived, EventArrived):
            await self._until_told(entry)
        if entry.enrolment.partial and isinstance(arrived, EventArrived):
            await self._enrolments.bring_back(entry, needed_places(setting, arrived))
        how = delivery or Delivery()
        commands = self._reaction(entry, setting, arrived, how)
        if isinstance(arrived, EventArrived):
            kept: list[Command] = []
            while letters := [each for each in commands if isinstance(each, KeepDeadLetter)]:
                await self._keep_first(key, entry, arrived, letters)
                kept += letters
                again = self._reaction(entry, setting, arrived, how)
                commands = tuple([each for each in again if each not in kept])
        self._apply(key, entry, setting, arrived, commands)
        return commands

    def _reaction(
        self, entry: Entry, setting: Setting, arrived: Input, delivery: Delivery
    ) -> tuple[Command, ...]:
        reacted = react(setting, entry.enrolment, arrived, delivery)
        return tuple(fitting(entry, reacted, arrived, self._relay.largest))

    async def _keep_first(
        self, key: EnrolmentKey, entry: Entry, arrived: EventArrived, letters: Sequence[KeepDeadLetter]
    ) -> None:
        """Return when these dead letters are on disk: from then on records may say that the event has been
        considered, and its redelivery would ask for nothing."""
        with entry.staying():
            for command in letters:
                self._keep(entry.enrolment.journeys.get(command.instance), key, arrived, command)
            await self.kept()

    async def _until_told(self, entry: Entry) -> None:
        """Return when so little of an enrolment is not in EVENTS that its records can carry more."""
        with entry.staying():
            while entry.untold > self._most_untold:
                self._told.clear()
                await self._told.wait()

    async def adopt(self, record: Record, sequence: int) -> None:
        """Take up the facts that this record, committed at a STATE sequence, may not have relayed."""
        journey = record.journey
        entry = await self.entry((journey.flow, journey.contact))
        entry.tell(journey.instance, record.facts)
        self._relay.put(self._parcel(sequence, entry, journey, record.facts))

    async def room(self) -> None:
        """Return when more may be decided: facts come no faster than they are published."""
        await self._relay.room()

    def committed(self) -> Done:
        """Done when everything decided until now, and that it was decided by the owner, is on disk."""
        return self._writer.barrier()

    def remembered(self) -> Done:
        """The same, and that events counted which changed nothing: their acknowledgements wait for this."""
        marked, self._marked = [*self._marked.values()], {}
        expires = self._dedupe()
        for start in range(0, len(marked), SEEN_AT_ONCE):
            self._remember(marked[start : start + SEEN_AT_ONCE], expires)
        return self._writer.barrier()

    def _remember(self, entries: Sequence[Entry], expires: int) -> None:
        def stored(_: Done) -> None:
            for entry in entries:
                entry.in_flight -= 1

        puts = [_put_seen(entry.enrolment, expires) for entry in entries]
        self._writer.submit(puts).add_done_callback(stored)

    async def settled(self) -> None:
        """Return when everything decided until now, and every dead letter, is on disk."""
        await self.kept()
        await self.remembered()

    async def kept(self) -> None:
        """Return when every dead letter asked for until now is on disk."""
        if self._keeping:
            await asyncio.gather(*self._keeping)

    # --- carrying out -------------------------------------------------------------------------------

    def _apply(
        self, key: EnrolmentKey, entry: Entry, setting: Setting, arrived: Input, commands: Sequence[Command]
    ) -> None:
        enrolment = entry.enrolment
        journeys = enrolment.journeys
        changes: list[Change] = []
        touched: dict[str, int] = {}
        waited: dict[str, int] = {}
        mails: list[SendMail] = []
        for command in commands:
            match command:
                case RecordFact():
                    if command.instance not in touched and (before := journeys.get(command.instance)):
                        waited[command.instance] = before.wake_at
                    changes += self._fold(entry, command)
                    touched[command.instance] = touched.get(command.instance, 0) + 1
                case IgnoreEvent():
                    remember(enrolment, (command.event_hash,))
                    self._mark(entry)
                case ArmTimer():
                    self._arm(Wait(command.at, *key, command.instance), waited.get(command.instance, 0))
                case SendMail():
                    mails.append(command)
                case KeepDeadLetter():
                    self._keep(enrolment.journeys.get(command.instance), key, arrived, command)
        if isinstance(arrived, EventArrived):
            enrolment.considered = max(enrolment.considered, arrived.sequence)
        if touched:
            self._hand_in(entry, setting, changes, touched, mails)
        else:
            for mail in mails:
                self._dispatch(key, mail)
        self._enrolments.weigh(entry)

    def _hand_in(
        self,
        entry: Entry,
        setting: Setting,
        changes: Sequence[Change],
        touched: dict[str, int],
        mails: Sequence[SendMail],
    ) -> None:
        """Hand the records that were touched to the writer, `changes` with the first; let go of the ended.

        Records say up to where events have been considered, so which of them counted goes along.
        """
        before, enrolment = list(changes), entry.enrolment
        if self._marked.pop((enrolment.flow, enrolment.contact), None) is not None:
            entry.in_flight -= 1
            before.append(_put_seen(enrolment, self._dedupe()))
        *earlier, last = slices(touched)
        for some in (*earlier, last):
            puts = [self._put(entry, setting, instance) for instance in some]
            self._submit(entry, [*before, *puts], some, mails if some is last else ())
            before = []
        for instance in touched:
            if (journey := enrolment.journeys[instance]).finished:
                end(enrolment, journey)

    def _fold(self, entry: Entry, command: RecordFact) -> list[Change]:
        """Take over what a fact made of its journey; the companion, when the record has to forget."""
        enrolment, fact, instance, after = entry.enrolment, command.fact, command.instance, command.journey
        before = enrolment.journeys.get(instance)
        enrolment.journeys[instance] = after
        enrolment.ended.pop(instance, None)
        self._telemetry.folded(before, after, fact)
        self._census.moved(before, after)
        entry.tell(instance, (fact,))
        entry.weight += gained(before, after)
        if not fact.applied and before is not None and after.applied is before.applied:
            return []
        known = (*(before.applied if before else ()), *fact.applied)
        forgotten = [mark for mark in known if mark not in after.applied]
        if not forgotten:
            return []
        remember(enrolment, forgotten)
        return [_put_seen(enrolment, self._dedupe())]

    def _mark(self, entry: Entry) -> None:
        """Have the companion stored with what is stored next for acknowledgements."""
        key = (entry.enrolment.flow, entry.enrolment.contact)
        if key not in self._marked:
            self._marked[key] = entry
            entry.in_flight += 1

    def _dedupe(self) -> int:
        return int(seconds(self._catalog.plans.runtime.retention_dedupe))

    def _put(self, entry: Entry, setting: Setting, instance: str) -> PutRecord:
        journey = entry.enrolment.journeys[instance]
        record = Record(journey, tuple(entry.unpublished.get(instance, ())))
        once = setting.flow.reentry == "Once"
        expires = finished_expiry(journey, once=once, dedupe=self._dedupe())
        return PutRecord(record, expires, event_weight(journey.event) + entry.loads.get(instance, 0))

    def _submit(
        self,
        entry: Entry,
        changes: Sequence[Change],
        touched: dict[str, int],
        mails: Sequence[SendMail],
    ) -> None:
        key = (entry.enrolment.flow, entry.enrolment.contact)
        entry.in_flight += 1
        facts = [
            (entry.enrolment.journeys[instance], entry.unpublished[instance][-count:])
            for instance, count in touched.items()
        ]

        def committed(done: Done) -> None:
            entry.in_flight -= 1
            if done.cancelled():
                return
            for journey, made in facts:
                self._relay.put(self._parcel(done.result(), entry, journey, made))
            for mail in mails:
                self._dispatch(key, mail)

        self._writer.submit(changes).add_done_callback(committed)

    def _parcel(self, sequence: int, entry: Entry, journey: Journey, made: Sequence[Fact]) -> Parcel:
        runtime, flow, contact = self._catalog.plans.runtime.id, journey.flow, journey.contact
        events = [
            publish(fact, runtime=runtime, flow=flow, contact=contact, cause=journey.event) for fact in made
        ]

        def published() -> None:
            # The relay keeps the order of the commits, so these are the oldest.
            entry.told(journey.instance, len(made))
            self._told.set()
            if entry.idle:
                # From here on it may go, which nothing else may say for long.
                self._enrolments.weigh(entry)

        return Parcel(sequence, [LogEntry(event, contact, self._shard) for event in events], published)

    def _keep(
        self, journey: Journey | None, key: EnrolmentKey, arrived: Input, command: KeepDeadLetter
    ) -> None:
        event = arrived.event if isinstance(arrived, EventArrived) else journey.event if journey else None
        if event is None:
            return
        sequence = arrived.sequence if isinstance(arrived, EventArrived) else 0
        letter = DeadLetter(command.reason, command.message, key[0], event, key[1], sequence, command.step)
        self.keep(letter)

    def keep(self, letter: DeadLetter) -> None:
        """Keep a dead letter; `kept` waits for it."""
        task = asyncio.get_running_loop().create_task(self._dead_letters.keep(letter))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)


def _put_seen(enrolment: Enrolment, expires: int) -> PutSeen:
    return PutSeen(enrolment.flow, enrolment.contact, tuple(enrolment.seen), expires)
