"""Ports to what lasts: the log, a shard's state, the consumers' feeds, dead letters, plans, aliases.

In the machinery's own words. What a commit costs, how it is fenced and how a lost acknowledgement is
resolved is the adapter's business (ADR 0001, 0002).
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from emailflow_api.plans import Plans
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Enrolment, Journey, Record
from emailflow_runtime.core.redrive import Redrive
from emailflow_runtime.errors import EmailFlowError, RecordUnreadable

# --- the log ---------------------------------------------------------------------------------------


class LogEntry(msgspec.Struct, frozen=True):
    """An event on its way into the log; `contact` is the opaque key of whom it is about, or empty."""

    event: CloudEvent
    contact: str
    shard: int
    redrive: Redrive | None = None


class EventLog(Protocol):
    """EVENTS."""

    @property
    def largest(self) -> int:
        """Bytes that one message may have, with its headers; the same for STATE and DEADLETTER."""

    async def append(self, entries: Sequence[LogEntry]) -> None:
        """Return when all of them are on disk, in this order. Raises Unavailable when that is not known:
        then some may be there, and appending them again is right (repeats change nothing). Raises
        MessageTooLarge when one of them never can be; then others may be there, too."""

    async def last_sequence(self, shard: int) -> int:
        """The sequence of a shard's last event, 0 when there is none. Raises Unavailable."""

    async def last_arrival(self, shard: int) -> int:
        """The same for what came in, which leaves out what journeys did (`naming.FACTS`)."""

    async def last_fact(self, shard: int, types: Collection[str]) -> int:
        """The same for what journeys did, of these types alone."""

    async def fill(self) -> float:
        """The share of its bound that the log occupies, 0 to 1. Raises Unavailable."""


# --- state -----------------------------------------------------------------------------------------


class PutRecord(msgspec.Struct, frozen=True):
    """Store a journey's record. `expires` in seconds, 0: never. `weight` is its size in bytes, at most."""

    record: Record
    expires: int = 0
    weight: int = 0


class PutContact(msgspec.Struct, frozen=True):
    """Store a contact. `weight` is its size in bytes, about."""

    contact: Contact
    weight: int = 0


class PutSeen(msgspec.Struct, frozen=True):
    """Store the companion of an enrolment. `expires` in seconds, 0: never."""

    flow: str
    contact: str
    hashes: tuple[int, ...]
    expires: int = 0


class PutRelayPosition(msgspec.Struct, frozen=True):
    """Facts of all records up to this STATE sequence are in EVENTS."""

    sequence: int


class InHand(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an owner of the shard leaves to the next one about inputs that may take a process down.

    `times`: by input, how many owners have begun with it and not come back. `ends`: owners in a row before
    this one that did not end in good order. `clean`: this one did.
    """

    times: dict[str, int] = {}
    ends: int = 0
    clean: bool = False


class PutInHand(msgspec.Struct, frozen=True):
    """Store what is in hand from now on."""

    in_hand: InHand


Change: TypeAlias = PutRecord | PutContact | PutSeen | PutRelayPosition | PutInHand


class RecordHead(NamedTuple):
    """What a scan tells of a record without reading it."""

    flow: str
    contact: str
    instance: str
    sequence: int
    wake_at: int
    mail: str
    """Status of its mail while that is not settled, else empty."""
    revision: str = ""
    """Its revision while it is not finished, else empty."""
    step: str = ""
    held: str = ""
    """What its mail waits for that is not there (`Mail.held`), else empty."""


def belong_together(changes: Sequence[Change]) -> bool:
    """Whether two of them are about one enrolment. A record says up to where events have been decided. One
    without the other would let a redelivery pass that has still to be decided, one without the companion
    would lose which events counted. Or whether what is in hand is among them: that it is not any more must
    not be stored without what became of it."""
    if any(isinstance(change, PutInHand) for change in changes):
        return len(changes) > 1
    journeys = [change.record.journey for change in changes if isinstance(change, PutRecord)]
    about = [(each.flow, each.contact) for each in journeys]
    about += [(each.flow, each.contact) for each in changes if isinstance(each, PutSeen)]
    return len(set(about)) < len(about)


EnrolmentKey: TypeAlias = tuple[str, str]
"""(flow id, contact key)."""
Place: TypeAlias = tuple[str, str, str]
"""(flow id, contact key, instance): where a journey's record stands."""


class TooMuch(EmailFlowError):
    """What was asked for together is more than may be in memory at once: ask for less."""

    reason = "TooManyResults"


class StateStore(Protocol):
    """STATE of one shard. Only its owner holds one that has claimed."""

    async def now(self) -> int:
        """The store's time as it answered, by the clock that stamps events (nanoseconds since 1970 UTC).
        Raises EpochLost when somebody else has claimed, Unavailable."""

    async def claim(self) -> int:
        """Take the epoch: from here on every other owner's writes are refused. Gives the number that names
        this owner, higher than those of all before."""

    async def commit(self, changes: Sequence[Change]) -> int:
        """Store all changes under the epoch; the STATE sequence of the last one.

        Returns only when they are on disk, and keeps trying while the store is away. Changes without an
        order between them may be stored one by one; what belongs together (`belong_together`) is stored whole
        or not at all. Raises EpochLost; and MessageTooLarge, or the store's own words, when it refuses them
        for good: what is in memory is wrong then, so that the owner has to end.
        """

    async def enrolments(
        self, keys: Iterable[EnrolmentKey]
    ) -> dict[EnrolmentKey, Enrolment | RecordUnreadable]:
        """The enrolments that are stored under these keys; absent keys are left out.

        All open journeys are in them, and as many of the ended ones as memory keeps (`core/remembering.py`).
        Raises TooMuch, never for a single key.
        """

    async def records(self, places: Iterable[Place]) -> dict[Place, Record | RecordUnreadable]:
        """The records at these places whole, with the facts that were not relayed when they were written.
        Raises TooMuch, never for a single place."""

    async def contacts(self, keys: Iterable[str]) -> dict[str, Contact | RecordUnreadable]:
        """The contacts stored under these keys. Raises TooMuch, never for a single key."""

    async def relay_position(self) -> int:
        """As last committed, 0 at first."""

    async def in_hand(self) -> InHand:
        """What the owner before the claim left: `clean` when there was none, or when that was its last word
        (an older owner's word is not)."""

    def scan(self) -> AsyncIterator[RecordHead]:
        """The heads of all records, as they are now."""


# --- feeds -----------------------------------------------------------------------------------------


class Delivered(msgspec.Struct, frozen=True):
    """A message of a feed: its place, its time (nanoseconds), and how to acknowledge it."""

    sequence: int
    at: int
    token: str


class DeliveredEvent(Delivered, frozen=True):
    """An event from EVENTS, with the key of the contact it is about."""

    event: CloudEvent
    contact: str
    redrive: Redrive | None = None


class Standing(NamedTuple):
    """How a feed stands: messages it has still to deliver, sequence of the last one delivered, and of the
    last one below which all are acknowledged."""

    pending: int
    delivered: int
    floor: int
    plan: str = ""
    """The plan that it was made for, by its content hash; empty: any."""


class Feed(Protocol):
    """A durable consumer, held by this owner alone. Several batches may be open at once."""

    async def take_over(self) -> Standing:
        """Take the consumer from whoever held it, and go back to what was not acknowledged."""

    async def standing(self) -> Standing:
        """How it stands now."""

    async def next_batch(self) -> Sequence[Delivered]:
        """The next messages in order, at least one; waits for them."""

    def acknowledge(self, batch: Iterable[Delivered]) -> None:
        """These are done with, for good. A lost one means a redelivery, which is harmless."""

    async def close(self) -> None:
        """Stop pulling."""


class Feeds(Protocol):
    """Where feeds come from."""

    def flow(self, flow: str, shard: int) -> Feed:
        """The feed of one flow."""

    def contacts(self, shard: int) -> Feed:
        """Everything that came into the shard: not what its journeys did (`naming.FACTS`)."""


# --- the rest --------------------------------------------------------------------------------------


class DeadLetter(msgspec.Struct, frozen=True):
    """What could not be handled: `origin` is a flow's id or `_receiver`."""

    reason: str
    message: str
    origin: str
    event: CloudEvent
    contact: str = ""
    sequence: int = 0
    step: str = ""
    """The step whose mail could not be made, if it was that."""


class DeadLetters(Protocol):
    """DEADLETTER."""

    async def keep(self, letter: DeadLetter) -> None:
        """Return when it is on disk; keeps trying while the store is away."""


class PlanSource(Protocol):
    """PLANS, as the runtime sees it."""

    def snapshots(self) -> AsyncIterator[Plans]:
        """Everything as it is, then again after each change."""


class Aliases(Protocol):
    """ALIASES: from every later identifier of a contact to its key."""

    async def lookup(self, identifiers: Iterable[str]) -> Mapping[str, str]:
        """The keys that these identifiers (each a key of its own) lead to; unknown ones are left out."""

    async def claim(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Let each identifier lead to its key unless it leads somewhere already; where they lead now."""


REMEMBERED_WORDS = 16
"""Subscriptions of one address to one topic that are known again when they are repeated."""


class Consents(Protocol):
    """CONSENT, by the key of an address (`identity.contact_key`)."""

    def of(self, address: str) -> Consent:
        """What this address has said, as far as is known here."""

    async def catch_up(self) -> None:
        """Return when `of` knows all that was put before this call; keeps trying while the store is away."""

    async def put(self, address: str, topic: str, *, subscribed: bool, at: int, event: int = 0) -> None:
        """Return when it is on disk and `of` knows it. `at`: when it was said (nanoseconds since 1970 UTC);
        a word that was said before the one that is known changes nothing. `event`: the hash of the event that
        says so, 0: none; a subscription by one of the last `REMEMBERED_WORDS` is a repeat, and changes
        nothing. An unsubscription always counts: its link may be followed once more. Raises Unavailable."""


def left_in_hand(stored: InHand | None, at: int, before: int) -> InHand:
    """What the last owner left: `stored` at this STATE sequence, `before` the sequence of its epoch (0: there
    was no owner)."""
    if not before:
        return InHand(clean=True)
    if stored is None or (stored.clean and at < before):
        return InHand()
    return stored


def finished_expiry(journey: Journey, *, once: bool, dedupe: int) -> int:
    """Seconds that a journey's record is kept: for ever while it is open, or with `reentry: Once`."""
    return dedupe if journey.finished and not once else 0
