"""The crash points: where a runtime is killed, with the load that brings it there.

One for each moment between a door's accept and a mail's last acknowledgement at which the outside has just
changed, or is about to. What is promised at each stands in docs/explanation/crash-safety.md under its name.
"""

import os
from enum import Enum
from itertools import chain
from typing import NamedTuple

from tests.crash.awaits import Place

HTTP, NATS, REFUSED, CONTRACT, NOBODY = "http", "nats", "refused", "contract", "nobody"
CONSENT, UNREADABLE, BROKEN, TIMER, STOP = "consent", "unreadable", "broken", "timer", "stop"
FOREIGN = "foreign"


class Crash(NamedTuple):
    """Before what is awaited at `place`, or once it is `over`; `load` is what is sent meanwhile (`stop`: and
    then the process is asked to end). `first`: the point that the life before was killed at, since nothing
    leads here else. `unknown`: the mail at the point may have been handed over, so that its outcome may be
    unknown; `beside`: mails go on beside it, which may be half-way."""

    place: Place
    over: bool
    load: str = HTTP
    first: str = ""
    unknown: bool = False
    beside: bool = False


def _before(
    module: str, function: str, awaited: str, load: str = HTTP, nth: int = 1, **more: object
) -> Crash:
    return Crash(Place(module, function, awaited, nth), over=False, load=load, **more)  # type: ignore[arg-type]


def _after(module: str, function: str, awaited: str, load: str = HTTP, nth: int = 1, **more: object) -> Crash:
    return Crash(Place(module, function, awaited, nth), over=True, load=load, **more)  # type: ignore[arg-type]


_HTTP, _NATS, _IN = "adapters/http_door/door", "adapters/nats_door/door", "adapters/jetstream/inbound"
_BATCH, _WIRE, _CONNECTION = (
    "adapters/jetstream/batch",
    "adapters/jetstream/wire",
    "adapters/jetstream/connection",
)
_STATE, _FEED, _LEASES = (f"adapters/jetstream/{each}" for each in ("state_store", "feed", "lease_bucket"))
_SMTP, _OPENING = "adapters/smtp/transport", "adapters/smtp/opening"
_RECOVERY = "app/recovery"


class Accepting(Enum):
    """At the doors, and wherever something is published."""

    HTTP_RECEIVED = _before(_HTTP, "HttpDoor._hand_in", "self._ingest.accept")
    HTTP_STORED = _after(_HTTP, "HttpDoor._hand_in", "self._ingest.accept")
    HTTP_ANSWERED = _after(_HTTP, "HttpDoor.__call__", "reply.send", beside=True)
    NATS_TAKEN = _after(_NATS, "NatsDoor._take", "self._queue.take", NATS)
    NATS_STORED = _after(_NATS, "NatsDoor._settle", "self._ingest.accept", NATS)
    NATS_ACKNOWLEDGING = _before(_NATS, "NatsDoor._serve", "self._queue.acknowledge", NATS, beside=True)
    NATS_ACKNOWLEDGED = _after(_NATS, "NatsDoor._serve", "self._queue.acknowledge", NATS, beside=True)
    REFUSAL_KEPT = _after(_IN, "InboundStream.refuse", "publish_all", REFUSED, beside=True)
    REFUSAL_NOTED = _after(_NATS, "NatsDoor._refuse", "self._queue.refuse", REFUSED, beside=True)
    REFUSAL_ANSWERED = _after(_NATS, "NatsDoor._refuse", "self._queue.answer", REFUSED, beside=True)
    CONTRACT_LETTER_KEPT = _after(
        "app/ingest", "LogIngest.accept", "self._dead_letters.keep", CONTRACT, beside=True
    )
    ALIASES_CLAIMING = _before("adapters/jetstream/alias_bucket", "AliasBucket.claim", "publish_all")
    ALIASES_CLAIMED = _after("app/ingest", "LogIngest._contact_keys", "self._aliases.claim")
    LOG_APPENDING = _before("app/ingest", "LogIngest._append_groups", "self._log.append")
    LOG_STORED = _after("adapters/jetstream/event_log", "JetStreamEventLog.append", "publish_all")
    LOG_APPENDED = _after("app/ingest", "LogIngest._append_groups", "self._log.append")

    SINGLES_WRITING = _before(_BATCH, "_publish_singly", "connection.wire.send", beside=True)
    SINGLES_WRITTEN = _after(_BATCH, "_publish_singly", "connection.wire.send", beside=True)
    SINGLES_HEARD = _after(_BATCH, "_publish_singly", "connection.answers", beside=True)
    BATCH_WRITING = _before(_BATCH, "_publish_batch", "connection.wire.send", beside=True)
    BATCH_WRITTEN = _after(_BATCH, "_publish_batch", "connection.wire.send", beside=True)
    BATCH_COMMITTED = _after(_BATCH, "_publish_batch", "connection.answer", beside=True)
    FRAMES_BUFFERED = _after(_WIRE, "Wire.send", "self._client._send_command", beside=True)
    FRAMES_FLUSHED = _after(_WIRE, "Wire.send", "self._client._flush_pending", beside=True)
    REQUEST_WRITTEN = _after(_CONNECTION, "Connection.request", "self.wire.send", beside=True)
    MESSAGE_WRITTEN = _after(_CONNECTION, "Connection.publish", "self.client.publish", NATS, beside=True)


class Deciding(Enum):
    """From the log to the commit of a decision, and from there to the facts in the log."""

    CONTACTS_PULLED = _after("app/contacts", "ContactReader.run", "self._feed.next_batch")
    CONSENT_WRITTEN = _after(
        "adapters/jetstream/consent_bucket",
        "ConsentBucket.put",
        "self._connection.request",
        CONSENT,
        beside=True,
    )
    CONSENT_KNOWN = _after("app/contacts", "ContactReader.run", "self._consents.put", CONSENT, beside=True)
    CONTACT_LETTER_KEPT = _after(
        "app/contacts", "ContactReader._dead", "self._dead_letters.keep", UNREADABLE, beside=True
    )
    FOREIGN_LETTER_KEPT = _after(
        "adapters/jetstream/unreadable", "Unreadable._settle", "publish_all", FOREIGN, beside=True
    )
    FOREIGN_ACKNOWLEDGED = _after(
        "adapters/jetstream/unreadable",
        "Unreadable._settle",
        "self._connection.wire.send",
        FOREIGN,
        beside=True,
    )
    CONTACTS_COMMITTED = _after("app/contacts", "ContactReader._acknowledge", "committed", beside=True)

    PULL_WRITTEN = _after(_FEED, "PinnedFeed._keep_pulling", "self._connection.wire.send", beside=True)
    EVENTS_PULLED = _after("app/flow_runner", "FlowRunner.run", "self.feed.next_batch")
    EVENT_DECIDED = _after("app/flow_runner", "FlowRunner._decide", "self._desk.decide")
    LETTER_WRITTEN = _after(
        "adapters/jetstream/dead_letter_stream", "DeadLetterStream.keep", "publish_all", NOBODY, beside=True
    )
    LETTERS_KEPT = _after(
        "app/flow_runner", "FlowRunner._acknowledge", "self._desk.kept", NOBODY, beside=True
    )
    COMMITTING = _before("app/writer", "Writer._commit", "self._store.commit", beside=True)
    COMMIT_ANSWERED = _after(_STATE, "JetStreamStateStore.commit", "publish_all", beside=True)
    COMMITTED = _after("app/writer", "Writer._commit", "self._store.commit", beside=True)
    EVENTS_COMMITTED = _after("app/flow_runner", "FlowRunner._acknowledge", "committed", beside=True)
    ACKNOWLEDGING = _before(_FEED, "PinnedFeed._acknowledge", "self._connection.wire.send", beside=True)
    ACKNOWLEDGED = _after(_FEED, "PinnedFeed._acknowledge", "self._connection.wire.send", beside=True)

    RELAYING = _before("app/relay", "Relay._publish", "self._log.append", beside=True)
    RELAYED = _after("app/relay", "Relay._publish", "self._log.append", beside=True)

    TIMER_AT_BARRIER = _after("app/timers", "Timers._work", "runner.passed", TIMER)
    TIMER_DECIDED = _after("app/timers", "Timers._move_on", "self._desk.decide", TIMER)


class Sending(Enum):
    """From a mail that was asked for to its recorded outcome."""

    MAIL_COMPOSED = _after("app/sender", "Sender._compose", "self._composer.compose")
    MAIL_WITHHELD = _after("app/gatekeeper", "Gatekeeper.withhold", "self._desk.decide", CONSENT, beside=True)
    MAIL_BROKEN = _after("app/sender", "Sender._broken", "self._desk.decide", BROKEN, beside=True)
    INTENT_DECIDED = _after("app/sender", "Sender._intend", "self._desk.decide")
    INTENT_COMMITTED = _after("app/sender", "Sender._intend", "self._desk.committed", unknown=True)
    HANDING_OVER = _before("app/lanes", "Lane.watch", "handing_over", unknown=True)
    SMTP_CONNECTED = _after(_OPENING, "Opener._connect", "loop.create_connection", unknown=True)
    SMTP_GREETED = _after(_OPENING, "Opener.open", "connection.converse", unknown=True)
    SMTP_INTRODUCED = _after(_OPENING, "Opener._introduce", "connection.converse", unknown=True)
    SMTP_OPENED = _after(_SMTP, "SmtpTransport._on_a_session", "self._opener.open", unknown=True)
    SMTP_ANSWERED = _after(_SMTP, "SmtpTransport._transact", "session.connection.converse", unknown=True)
    HANDED_OVER = _after("app/sender", "Sender._hand_over", "self._lanes.to(provider).watch", unknown=True)
    OUTCOME_DECIDED = _after("app/sender", "Sender._record", "self._desk.decide", unknown=True)


class Owning(Enum):
    """Taking a shard, taking up what is found there, and handing it over."""

    REPLICA_ANNOUNCED = _after("app/ownership", "Ownership._look", "self._leases.announce")
    LEASE_WRITTEN = _after(_LEASES, "LeaseBucket._put", "self._connection.request")
    LEASE_TAKEN = _after("app/ownership", "Ownership._take", "self._leases.take")
    LEASE_RENEWED = _after("app/ownership", "Ownership._keep", "self._leases.take", beside=True)
    EPOCH_WRITTEN = _after("adapters/jetstream/epoch", "Epoch._publish", "publish_all")
    EPOCH_CLAIMED = _after("app/shard", "Shard.run", "self._store.claim")
    POSITION_READ = _after("app/shard", "Shard.run", "self._store.relay_position")
    STATE_SCANNED = _after("app/shard", "Shard.run", "self._recovery.scan", first="RELAYING")
    FACTS_ADOPTED = _after("app/recovery", "Recovery._adopt", "self._desk.adopt", first="RELAYING")
    RELAY_RESUMED = _after("app/shard", "Shard.run", "self._recovery.relay_again", first="RELAYING")
    RELAYED_AGAIN = _after("app/relay", "Relay._publish", "self._log.append", first="RELAYING")
    IN_HAND_BEGUN = _after("app/inhand", "OneByOne.begin", "self._note", first="EVENT_DECIDED")
    IN_HAND_NOTED = _after("app/inhand", "OneByOne.holding", "self._note", first="EVENT_DECIDED")
    PIN_TAKEN = _after(_FEED, "PinnedFeed._unpin", "self._connection.api")
    FEED_RESET = _after(_FEED, "PinnedFeed.take_over", "self._connection.api")
    CONTACTS_TAKEN_OVER = _after("app/contacts", "ContactReader.run", "self._feed.take_over")
    FLOW_TAKEN_OVER = _after("app/flow_runner", "FlowRunner.run", "self.feed.take_over")
    REQUESTED_FOUND = _after(_RECOVERY, "Recovery._journeys", "self._desk.recall", first="MAIL_COMPOSED")
    MAIL_REHEARSED = _after("app/shard", "Shard._harmless", "self._sender.rehearse", first="REQUESTED_FOUND")
    ATTEMPTED_FOUND = _after(
        _RECOVERY, "Recovery._journeys", "self._desk.recall", first="HANDED_OVER", unknown=True
    )
    GIVEN_UP = _after(
        "app/shard", "Shard._abandon", "self._desk.decide", nth=2, first="HANDED_OVER", unknown=True
    )
    OVERDUE_LOADED = _after("app/timers", "Timers._load", "self._desk.load", TIMER, first="TIMER_AT_BARRIER")

    MAILS_DRAINED = _after("app/shard", "Shard._finish", "self._sender.drained", STOP, beside=True)
    OUTCOMES_COMMITTED = _after("app/shard", "Shard._finish", "self._desk.remembered", STOP)
    FACTS_DRAINED = _after("app/shard", "Shard._finish", "self._relay.drained", STOP)
    POSITION_COMMITTED = _after("app/shard", "Shard._finish", "self._desk.committed", STOP)
    SHARD_STOPPED = _after("app/ownership", "Ownership._hand_over", "holding.shard.stop", STOP)
    LEASE_RELEASED = _after("app/ownership", "Ownership._hand_over", "self._leases.release", STOP)
    REPLICA_WITHDRAWN = _after("app/ownership", "Ownership.leave", "self._leases.withdraw", STOP)


Point = Accepting | Deciding | Sending | Owning
POINTS: dict[str, Crash] = {each.name: each.value for each in chain(Accepting, Deciding, Sending, Owning)}
COUNTS = tuple(map(int, os.environ.get("CRASH_COUNTS", "1").split(",")))
"""At which of the times that a process comes to a point it is killed there."""
