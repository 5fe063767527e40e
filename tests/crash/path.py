"""The modules between a door's accept and the last acknowledgement of a mail, and which of their awaits need
no crash point of their own, and why. Everything else that they await is a point (`points.py`).
"""

import re

from tests.crash.awaits import Place, awaits

PATH = (
    "adapters/http_door/door",
    "adapters/nats_door/door",
    "adapters/jetstream/alias_bucket",
    "adapters/jetstream/batch",
    "adapters/jetstream/connection",
    "adapters/jetstream/consent_bucket",
    "adapters/jetstream/dead_letter_stream",
    "adapters/jetstream/epoch",
    "adapters/jetstream/event_log",
    "adapters/jetstream/feed",
    "adapters/jetstream/inbound",
    "adapters/jetstream/lease_bucket",
    "adapters/jetstream/scan",
    "adapters/jetstream/state_store",
    "adapters/jetstream/unreadable",
    "adapters/jetstream/wire",
    "adapters/smtp/connection",
    "adapters/smtp/opening",
    "adapters/smtp/transport",
    "app/backlog",
    "app/composing",
    "app/contacts",
    "app/desk",
    "app/enrolments",
    "app/flow_runner",
    "app/gatekeeper",
    "app/ingest",
    "app/inhand",
    "app/lanes",
    "app/mails",
    "app/ownership",
    "app/portions",
    "app/progress",
    "app/recovery",
    "app/relay",
    "app/sender",
    "app/shard",
    "app/store_clock",
    "app/timers",
    "app/writer",
)

WAITING = re.compile(
    r"asyncio\.(sleep|wait|shield|gather)"
    r"|[\w.]+\.(wait|acquire)|(placed|(self\._)?arrived)\.get"
    r"|accepted|committed|self\.(committed|remembered)|turn|future|expected|first|last|result|self\._closed|ask|placed\.put"
    r"|run|handing_over|self\._reconnected|self\._outside\.reconnected|mark\.reached|self\.(_relay|_desk)\.room"
    r"|(self\._(outside\.)?catalog|shard)\.(until_released|until_usable|flows_differ|differ_from|ready\.wait)"
)
"""Pure waiting: for time, for a task of this process, for what others do. To be killed in it is to be killed
before what comes next."""

HARMLESS: dict[str, frozenset[str]] = {
    "reads, and changes nothing outside the process": frozenset(
        {
            "app/backlog self._desk.recall",
            "app/composing self._renderer.render",
            "app/contacts self._load",
            "app/desk self._contacts.load",
            "app/desk self._enrolments.load",
            "app/desk self._contacts.fetch",
            "app/desk self._enrolments.fetch",
            "app/contacts self._contacts.load",
            "app/contacts self._contacts.fetch",
            "app/desk self._enrolments.bring_back",
            "app/enrolments self._load",
            "app/enrolments self._store.records",
            "app/flow_runner self._barrier.passed",
            "app/flow_runner self._barrier.end",
            "app/flow_runner self._barrier.read",
            "app/flow_runner self._desk.load",
            "app/flow_runner catch_up",
            "app/ingest self._log.fill",
            "app/ingest self._aliases.lookup",
            "app/ownership self._leases.read",
            "app/progress feed.standing",
            "app/recovery Recovery.relay_again self._desk.recall",
            "app/recovery self._desk.entry",
            "app/backlog self._read_names",
            "app/gatekeeper self._mails.asked",
            "app/gatekeeper self._mails.journey",
            "app/mails self._desk.setting",
            "app/mails self._desk.entry",
            "app/sender self._mails.draft",
            "app/sender self._mails.journey",
            "app/sender runner.passed",
            "app/shard self._barrier.end",
            "app/shard self._desk.entry",
            "app/shard self._sender.delivery_of",
            "app/timers runner.passed",
            "app/timers self._desk.entry",
            "app/timers ahead",
            "app/store_clock self._store.now",
            "app/shard self._clock.set",
            "app/shard self._outside.catalog.has",
            "app/store_clock self.set",
            "adapters/jetstream/state_store JetStreamStateStore.now self._connection.api",
            "adapters/jetstream/state_store JetStreamStateStore._matching self._connection.api",
            "adapters/jetstream/state_store JetStreamStateStore._insist read",
            "adapters/http_door/door self._tokens.verify",
            "adapters/http_door/door read_body",
            "adapters/jetstream/event_log self._connection.api",
            "adapters/jetstream/event_log self._connection.direct_get",
            "adapters/jetstream/alias_bucket self.lookup",
            "adapters/jetstream/connection Connection.direct_get_many self.wire.send",
            "adapters/jetstream/feed PinnedFeed.standing self._connection.api",
            "adapters/jetstream/state_store JetStreamStateStore.claim self._connection.api",
            "adapters/jetstream/consent_bucket self._connection.direct_get",
            "app/contacts self._one_by_one.limit",
            "app/flow_runner self._one_by_one.limit",
            "app/inhand feed.standing",
            "app/sender Sender.rehearse self._composer.compose",
            "app/shard self._outside.consents.catch_up",
            "app/shard self._store.in_hand",
            "adapters/jetstream/epoch self._connection.direct_get",
            "adapters/jetstream/epoch owners connection.direct_get",
            "app/flow_runner FlowRunner._hear_of_plan self.feed.standing",
            "adapters/jetstream/consent_bucket self._tail.start_when_there",
            "adapters/jetstream/consent_bucket self._tail.catch_up",
            "adapters/jetstream/consent_bucket self._tail.changed",
        }
    ),
    "listens, or stops listening: the server forgets it with the connection": frozenset(
        {
            "adapters/jetstream/connection self.wire.expect_many",
            "adapters/jetstream/feed self._connection.wire.listen",
            "adapters/jetstream/feed self._connection.wire.stop",
            "adapters/jetstream/inbound self._connection.client.subscribe",
            "adapters/jetstream/inbound subscription.unsubscribe",
            "adapters/jetstream/lease_bucket self._connection.client.subscribe",
            "adapters/jetstream/scan connection.wire.listen",
            "adapters/jetstream/scan connection.wire.stop",
            "adapters/jetstream/wire self._client.subscribe",
            "adapters/jetstream/wire listening.subscription.unsubscribe",
            "adapters/jetstream/wire self._others",
            "adapters/jetstream/batch connection.wire.expect",
            "adapters/jetstream/batch connection.wire.expect_many",
            "adapters/jetstream/connection self.wire.expect",
            "app/ownership self._leases.listen",
        }
    ),
    "opens or closes a connection": frozenset(
        {
            "adapters/jetstream/connection client.connect",
            "adapters/jetstream/connection client.close",
            "adapters/jetstream/connection self.client.flush",
            "adapters/jetstream/connection self.client.close",
            "adapters/smtp/opening connection.upgrade",
            "adapters/smtp/connection self._loop.start_tls",
            "adapters/smtp/transport self._pool.close",
            "adapters/smtp/transport SmtpTransport.check self._opener.open",
        }
    ),
    "gives back early what the next owner gets anyway": frozenset(
        {
            "adapters/jetstream/feed self._connection.publish",
            "adapters/jetstream/feed self._unreadable.close",
            "adapters/jetstream/inbound self._connection.publish",
            "adapters/nats_door/door self._queue.close",
            "adapters/nats_door/door self._queue.postpone",
            "app/shard feed.close",
        }
    ),
    "makes what was lost with nats-server, or lives for one scan": frozenset(
        {
            "adapters/jetstream/scan self._connection.api",
            "adapters/jetstream/scan self._connection.wire.send",
            "adapters/jetstream/scan scan.end",
        }
    ),
    "another page than the door's": frozenset({"adapters/http_door/door self._fallback"}),
    "before a mail's first octet, like SMTP_GREETED, on providers that ask for TLS or a password": frozenset(
        {"adapters/smtp/opening Opener.open connection.converse"}
    ),
    "decides in memory; what follows is the commit's, which has its points": frozenset(
        {
            "app/flow_runner self._replayer.replay",
            "app/gatekeeper Gatekeeper.wait_for self._desk.decide",
            "app/sender Sender._park self._desk.decide",
            "app/shard Shard._harmless self._desk.decide",
            "app/timers Timers._wake_alone self._desk.decide",
            "app/timers Timers._give_up self._desk.decide",
        }
    ),
    "waits for dead letters, whose writing has points of its own": frozenset(
        {
            "app/flow_runner FlowRunner._decide self._desk.kept",
            "app/flow_runner FlowRunner._take_alone self._desk.kept",
        }
    ),
    "runs a part that has its own points": frozenset(
        {
            "app/contacts self._take_alone(each) if alone else self._take(each)",
            "adapters/jetstream/state_store self._epoch.claim",
            "adapters/jetstream/state_store self._epoch.look",
            "adapters/jetstream/state_store self._epoch.renew",
            "app/ownership holding.shard.run",
            "app/sender self._gates.wait_for",
            "app/sender self._gates.withheld",
            "app/sender self._gates.withhold",
            "app/shard Shard._abandon self._desk.decide",
            "app/shard self._one_by_one.begin",
        }
    ),
}
"""Module and what is awaited (the function between them where that matters), by the reason why it needs no
point of its own."""


def names(place: Place) -> set[str]:
    """What `HARMLESS` may call it."""
    return {f"{place.module} {place.awaited}", f"{place.module} {place.function} {place.awaited}"}


def functions_awaited() -> set[tuple[str, str]]:
    """Module and name of each function on the path that awaits something itself."""
    return {(place.module, place.function.rpartition(".")[2]) for module in PATH for place in awaits(module)}


def needing_points() -> list[Place]:
    """The awaits of the path that have to be crash points."""
    inward = functions_awaited()
    harmless = frozenset().union(*HARMLESS.values())
    return [
        place
        for module in PATH
        for place in awaits(module)
        if not WAITING.fullmatch(place.awaited)
        and not names(place) & harmless
        and (module, place.awaited.removeprefix("self.")) not in inward
    ]


def idle() -> set[str]:
    """What is called harmless and is not awaited any more."""
    found = {name for module in PATH for place in awaits(module) for name in names(place)}
    return set().union(*HARMLESS.values()) - found
