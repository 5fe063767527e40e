"""A journey: where one contact stands in one flow. The record that STATE holds, one message each.

Only `evolve` makes new ones. No method may decide anything.
"""

import msgspec
from msgspec.structs import replace

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import Entered, Fact

RECORD_VERSION = 2
"""Raised with every change of the record that an older runtime could not read."""
APPLIED_IN_RECORD = 32
"""How many event hashes a record itself remembers; older ones move to the companion message."""


class Mail(msgspec.Struct, frozen=True, omit_defaults=True):
    """The mail of the step that a journey stands at.

    `status`: Requested -> Attempted -> Accepted | Failed | Unknown, or Deferred -> Requested again, or
    Skipped. While Attempted, its outcome is open until `settled_by`.
    """

    id: str
    step: str
    turn: int
    template: str
    due: int
    """When it should go out: `maxLateness` counts from here."""
    asked: int = 0
    """When it was asked for, or may go out by its policy: `giveUpAfter` counts from here."""
    status: str = "Requested"
    attempts: int = 0
    spared: int = 0
    """How many of them do not count under `maxAttempts`."""
    held: str = ""
    """While Deferred: the reason (`facts.ABSENT`) if it waits for something that is not there, at most until
    the journey's `wake_at`."""
    provider: str = ""
    start_by: int = 0
    settled_by: int = 0

    @property
    def settled(self) -> bool:
        """Whether nothing more will be recorded about it on the engine's own account."""
        return self.status in {"Accepted", "Skipped", "Failed", "Unknown"}


class Journey(msgspec.Struct, frozen=True, omit_defaults=True):
    """One journey. Times are nanoseconds since 1970 UTC, `at` never goes back."""

    id: str
    flow: str
    contact: str
    instance: str
    revision: str
    event: CloudEvent
    at: int
    sequence: int
    """EVENTS sequence of the last input applied: an older one is a redelivery."""
    entered_at: int = 0
    key: str = ""
    running: bool = True
    result: str = ""
    step: str = ""
    passes: dict[str, int] = {}
    """By step, how often it was come to: what tells one pass's mail from the next one's."""
    unwaited: int = 0
    """Steps that were gone through since the journey last waited."""
    wake_at: int = 0
    timer: int = 0
    """Number of the armed timer; 0: none."""
    timers: int = 0
    """How many timers there have been; the next one gets this plus one."""
    mail: Mail | None = None
    facts: int = 0
    applied: tuple[int, ...] = ()
    redone: bool = False
    """It does one step, which failed before, and ends."""
    version: int = RECORD_VERSION

    @property
    def finished(self) -> bool:
        """Ended, with its mail settled: the record may expire."""
        return not self.running and (self.mail is None or self.mail.settled)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is stored: a journey, and the facts that no one has relayed to EVENTS yet, oldest first."""

    journey: Journey
    facts: tuple[Fact, ...] = ()


_ITS_OWN = CloudEvent(id="", source="", type="")
"""In a stored fact: the event is the journey's. No event has an empty id."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode_record(record: Record) -> bytes:
    """A record as MessagePack. The event that it entered by is in it once, however many facts tell of it."""
    for fact in record.facts:
        if type(fact) is Entered:
            return _encoder.encode(_by_reference(record))
    return _encoder.encode(record)


def decode_record(data: bytes) -> Record:
    """The record in these bytes. Raises msgspec.ValidationError for what no runtime wrote."""
    record = _decoder.decode(data)
    for fact in record.facts:
        if type(fact) is Entered and not fact.event.id:
            return _by_value(record)
    return record


def _by_reference(record: Record) -> Record:
    own = record.journey.event
    facts = [
        replace(fact, event=_ITS_OWN)
        if isinstance(fact, Entered) and (fact.event is own or fact.event == own)
        else fact
        for fact in record.facts
    ]
    return Record(record.journey, tuple(facts))


def _by_value(record: Record) -> Record:
    own = record.journey.event
    facts = [
        replace(fact, event=own) if isinstance(fact, Entered) and not fact.event.id else fact
        for fact in record.facts
    ]
    return Record(record.journey, tuple(facts))


class Enrolment(msgspec.Struct):
    """Everything about one contact in one flow.

    `considered` is the EVENTS sequence up to which events have been decided about.
    """

    flow: str
    contact: str
    journeys: dict[str, Journey] = {}
    """By instance: all that are open, and the newest of the ended ones (`core/remembering.py`)."""
    seen: dict[int, None] = {}
    """Hashes of events from the companion message, oldest first: older than what the records remember, or of
    events that counted and changed nothing."""
    considered: int = 0
    ended: dict[str, None] = {}
    """Instances of the ended journeys that are here, as they ended."""
    partial: bool = False
    """STATE may hold ended journeys at other instances than those that are here."""

    def has_applied(self, event_hash: int) -> bool:
        """Whether this event (hash of source and id) has counted here already."""
        return event_hash in self.seen or any(
            event_hash in journey.applied for journey in self.journeys.values()
        )
