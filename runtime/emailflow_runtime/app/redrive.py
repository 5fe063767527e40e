"""Dead letters, handed on: each to the one flow that could not handle it, once, or by the receiver again.

What is redriven is in the log before its letter goes, and the log's entry names the letter: a crash between
the two means a second redrive, which changes nothing. It decides nothing about the event itself.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.contracts import ContractBroken
from emailflow_runtime.app.ingest import RECEIVER, LogIngest
from emailflow_runtime.app.stores import Aliases, DeadLetter, EventLog, LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import shard_of
from emailflow_runtime.core.redrive import Redrive
from emailflow_runtime.errors import EmailFlowError


class Letter(msgspec.Struct, frozen=True):
    """A dead letter as it is kept. `sequence` is its own place, `log_sequence` the event's in EVENTS (0: the
    event never was there), `at` when it was kept (nanoseconds since 1970 UTC).

    `event` is None when what came was no event; `raw` are its bytes.
    """

    sequence: int
    at: int
    reason: str
    origin: str
    message: str
    contact: str
    log_sequence: int
    step: str
    event: CloudEvent | None
    raw: bytes


class Letters(Protocol):
    """DEADLETTER, as its reader sees it."""

    def letters(self, *, reason: str = "", origin: str = "") -> AsyncIterator[Letter]:
        """All letters of this reason and origin (empty: of any), oldest first."""

    async def letter(self, sequence: int) -> Letter | None:
        """The letter at this place."""

    async def discard(self, sequence: int) -> None:
        """Take the letter out. One that isn't there any more is no error."""


class RedriveRefused(EmailFlowError):
    """This letter can't be redriven as things are; it stays. The message says what has to change."""

    reason = "RedriveRefused"


class Redriver:
    """Hands letters on, by the plans as they are now."""

    def __init__(self, catalog: Catalog, log: EventLog, aliases: Aliases, letters: Letters) -> None:
        self._catalog = catalog
        self._log = log
        self._aliases = aliases
        self._letters = letters

    async def redrive(self, letter: Letter) -> None:
        """Return when the event is in the log and the letter is gone.

        Raises RedriveRefused, InvalidEvent (a receiver's letter that breaks its contract still), Unavailable.
        """
        if letter.event is None:
            raise RedriveRefused("what came was no event: mend it where it came from, and send it again")
        if letter.origin in {RECEIVER, CONTACTS_CONSUMER}:
            # A flow that has decided on it already takes it for a repeat.
            await self._through_the_receiver(letter.event)
        else:
            await self._log.append([await self._entry(letter, letter.event)])
        await self._letters.discard(letter.sequence)

    async def _through_the_receiver(self, event: CloudEvent) -> None:
        ingest = LogIngest(self._catalog, self._log, self._aliases, _Refusing())
        storing = asyncio.create_task(ingest.run())
        try:
            await ingest.accept(event)
        finally:
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)

    async def _entry(self, letter: Letter, event: CloudEvent) -> LogEntry:
        self._check(letter, event)
        contact = letter.contact or await self._contact(event)
        if not contact:
            expected = "data.email, an address as subject, or what the EventType maps"
            raise RedriveRefused(f"the event names no contact: expected {expected}")
        redrive = Redrive(
            flow=letter.origin,
            letter=f"{letter.sequence}.{letter.at}",
            step=letter.step,
            known=bool(letter.contact),
        )
        return LogEntry(event, contact, shard_of(contact, self._catalog.plans.runtime.shards), redrive)

    def _check(self, letter: Letter, event: CloudEvent) -> None:
        """Refuse what would only become a dead letter again, or reach nobody."""
        if letter.reason == "LoopDetected":
            raise RedriveRefused("the event is part of a loop: end the loop, and send a new event")
        flow = self._catalog.flow(letter.origin)
        if flow is None:
            raise RedriveRefused(f"there is no flow {letter.origin.replace('_', '/')} any more")
        program = self._catalog.programs[flow.revision]
        if event.type not in program.program.types():
            raise RedriveRefused(f"the flow doesn't read events of type {event.type} any more")
        if letter.step and program.step(letter.step) is None:
            raise RedriveRefused(f"the flow has no step {letter.step} any more")

    async def _contact(self, event: CloudEvent) -> str:
        """Whom the event is about by the mappings of now; they had not found anybody when it came."""
        keys = self._catalog.mapping(event.type).identify(event).keys
        if not keys:
            return ""
        known = await self._aliases.lookup(keys)
        key = next((known[each] for each in keys if each in known), keys[0])
        claimed = await self._aliases.claim({each: key for each in keys if each not in known})
        return next(({**known, **claimed}[each] for each in keys), key)


class _Refusing:
    """DeadLetters for a receiver that must not keep again what is a dead letter already."""

    async def keep(self, letter: DeadLetter) -> None:
        """Raises ContractBroken."""
        raise ContractBroken(letter.message)
