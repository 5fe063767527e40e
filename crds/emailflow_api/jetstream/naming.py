"""Names of streams, buckets, consumers and subjects of one runtime (DESIGN section 5).

All derive from the runtime's namespace and name. Both are DNS labels, so joining them by `_` is
unambiguous. Nothing else in the project may build such a name.
"""

from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

_ALLOWED = frozenset(map(chr, range(0x21, 0x7F))) - frozenset(".*>%")
CONTACTS_CONSUMER = "_contacts"
"""The system consumer that alone writes contacts, one per shard."""
DOOR_CONSUMER = "_door"
"""The system consumer of IN, shared by the receivers of all runtime pods."""

FACTS = frozenset(
    f"dev.emailflow.{fact}"
    for fact in (
        *("journey.entered", "journey.advanced", "journey.exited", "journey.completed"),
        *("message.requested", "message.attempted", "message.accepted", "message.deferred"),
        *("message.skipped", "message.failed", "message.unknown"),
    )
)
"""What journeys themselves do. In EVENTS it stands apart from what came in, since it says nothing of
contacts: their reader would read five facts a mail for nothing."""


@lru_cache(maxsize=4096)
def type_tokens(event_type: str) -> str:
    """A CloudEvents type as subject tokens: dots separate, what NATS doesn't allow is percent-encoded.

    Injective: an empty token (`a..b`) becomes `%00`, which no valid type can contain otherwise.
    """
    return ".".join(_token(token) for token in event_type.split("."))


def reader_name(reader: str) -> str:
    """`namespace/name` of a flow by its id; the name of a system consumer (`_contacts`) is itself."""
    return reader if reader.startswith("_") else reader.replace("_", "/", 1)


def _token(text: str) -> str:
    if not text:
        return "%00"
    return "".join(c if c in _ALLOWED else "".join(f"%{b:02X}" for b in c.encode()) for c in text)


class Role(StrEnum):
    """Who connects to NATS. What each may do there is in `permissions`."""

    PRODUCER = "producer"
    READER = "reader"
    """Reads the log, and nothing else."""
    RUNTIME = "runtime"
    OPERATOR = "operator"
    BACKUP = "backup"
    """Takes streams out as they are, and puts them back."""


class Names(NamedTuple):
    """Every name that belongs to the runtime `namespace/name`."""

    namespace: str
    name: str

    @property
    def prefix(self) -> str:
        """First part of stream and bucket names."""
        return f"{self.namespace}_{self.name}"

    @property
    def subject_prefix(self) -> str:
        """First tokens of every subject."""
        return f"emailflow.{self.namespace}.{self.name}"

    # streams

    @property
    def inbound(self) -> str:
        """Stream IN: what producers publish on NATS."""
        return f"{self.prefix}_IN"

    @property
    def events(self) -> str:
        """Stream EVENTS: the log."""
        return f"{self.prefix}_EVENTS"

    @property
    def dead_letters(self) -> str:
        """Stream DEADLETTER."""
        return f"{self.prefix}_DEADLETTER"

    def state(self, shard: int) -> str:
        """Stream STATE of one shard."""
        return f"{self.prefix}_STATE_{shard}"

    # buckets

    def bucket(self, name: str) -> str:
        """A KV bucket; `name` is one of PLANS, REPORTS, LEASES, CONSENT, ALIASES."""
        return f"{self.prefix}_{name}"

    # subjects

    def inbox(self, role: Role, user: str = "") -> str:
        """The first token of the inboxes of this role's users, which no one else may listen to.

        `user` (a DNS label) tells those apart that don't share theirs.
        """
        return f"_INBOX_{self.prefix}_{role}_{user}" if user else f"_INBOX_{self.prefix}_{role}"

    @property
    def inbound_subjects(self) -> str:
        """Everything that producers publish."""
        return f"{self.subject_prefix}.in.>"

    def refused_subject(self, token: str) -> str:
        """Where a producer hears of what was refused; `token` is its own, `*` stands for all."""
        return f"{self.subject_prefix}.refused.{token}"

    def inbound_subject(self, event_type: str) -> str:
        """Where producers publish an event of this type."""
        return f"{self.subject_prefix}.in.{type_tokens(event_type)}"

    def event_subject(self, shard: int, event_type: str) -> str:
        """Where an event of this type stands in EVENTS: below `own` what journeys did, below `in` what
        receivers let in."""
        side = "own" if event_type in FACTS else "in"
        return f"{self.subject_prefix}.events.{shard}.{side}.{type_tokens(event_type)}"

    def shard_arrivals(self, shard: int) -> str:
        """All events of one shard that receivers let in."""
        return f"{self.subject_prefix}.events.{shard}.in.>"

    def shard_events(self, shard: int) -> str:
        """All events of one shard."""
        return f"{self.subject_prefix}.events.{shard}.>"

    def dead_letter_subject(self, reason: str, origin: str) -> str:
        """Where a dead letter stands; `origin` is a flow's id, or `_receiver`."""
        return f"{self.subject_prefix}.deadletter.{reason}.{origin}"

    def state_subjects(self, shard: int) -> "StateSubjects":
        """The subjects of one shard's STATE."""
        return StateSubjects(f"{self.subject_prefix}.state.{shard}")


class StateSubjects(NamedTuple):
    """Subjects in the STATE stream of one shard. Contacts appear as hashes only."""

    prefix: str

    @property
    def epoch(self) -> str:
        """The fence: every write expects its sequence."""
        return f"{self.prefix}.epoch"

    @property
    def relay(self) -> str:
        """Up to which STATE sequence facts have been relayed."""
        return f"{self.prefix}.relay"

    @property
    def in_hand(self) -> str:
        """Which inputs an owner may not have survived, and whether it ended in good order."""
        return f"{self.prefix}.inhand"

    @property
    def journeys_all(self) -> str:
        """Every journey's record."""
        return f"{self.prefix}.journey.>"

    @property
    def contacts_all(self) -> str:
        """Every contact's record."""
        return f"{self.prefix}.contact.>"

    def contact(self, contact: str) -> str:
        """A contact's record."""
        return f"{self.prefix}.contact.{contact}"

    def journey(self, flow: str, contact: str, instance: str) -> str:
        """A journey's record; `*` as `instance` matches all of one contact in one flow."""
        return f"{self.prefix}.journey.{flow}.{contact}.{instance}"

    def seen(self, flow: str, contact: str) -> str:
        """The companion that remembers events already applied (64-bit hashes of source and id)."""
        return f"{self.prefix}.seen.{flow}.{contact}"
