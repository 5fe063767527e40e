"""Ports with a fault planted in each: what the machinery would do if somebody had written it wrongly.

Each stands for a mistake that a change could bring. The simulation has to find every one of them; where one
was planted for an oracle, in the words of that oracle.
"""

import asyncio
import types
from typing import NamedTuple

from msgspec.structs import replace
from tests.simulation import limits, ports
from tests.simulation.answering import Reader
from tests.simulation.provider import Transport

from emailflow_runtime.adapters.jetstream.connection import TooMany
from emailflow_runtime.app.ownership import View
from emailflow_runtime.app.stores import PutSeen
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.outcomes import Unknown


def make(**replaced):
    """The ports of a process, these among them."""
    return types.SimpleNamespace(**{**{name: getattr(ports, name) for name in ports.__all__}, **replaced})


class HastyFeed(ports.LossyFeed):
    """Acknowledges what it gives out, before anything is committed."""

    async def next_batch(self):
        batch = await super().next_batch()
        super().acknowledge(batch)
        return batch


class GappyFeed(ports.LossyFeed):
    """Does not notice that messages went elsewhere."""

    def arrived(self, sent, consumer):
        if sent:
            self._expected, self._pin = sent[0].number, sent[0].pin
        return super().arrived(sent, consumer)


class ForgetfulFeed(ports.LossyFeed):
    """Takes over without going back to what was not acknowledged."""

    async def take_over(self):
        consumer = await self.consumer()
        consumer.unpin()
        consumer.pull(self, 0)
        self._expected, self._pin = consumer._sent + 1, consumer._pin
        return consumer.standing()


def feeds(kind):
    class Planted(ports.Feeds):
        def feed(self, name, shard):
            self.made.append(kind(self._broker, name, shard, self._network))
            return self.made[-1]

    return Planted


class UnfencedState(ports.State):
    """Writes whoever owns the shard by now."""

    def _store(self, changes, epoch=None):
        self.epoch = self.state.epoch
        return super()._store(changes)


class LyingState(ports.State):
    """Says that a commit is on disk while it is still on its way."""

    async def commit(self, changes):
        loop, place = self._network.loop, self._network.world
        last = self.state.stream.last_sequence + len(changes)
        if not self._network.chance(0.2):
            return await super().commit(changes)
        if not self._network.chance(0.3):
            loop.call_later(self._network.lag(), self._store_later, changes, context=place)
        await self._network.insist("commit", lambda: None)
        return last

    def _store_later(self, changes):
        if not self._network.closed and self.epoch == self.state.epoch:
            self._store(changes)


class TrustfulState(ports.State):
    """Goes on under its old epoch, as if what was not answered could not come any more."""

    async def renew(self):
        pass


class UnpagedReader(Reader):
    """Gives up, after a while, where nats-server has more than it gives at once."""

    async def _matching(self, pattern):
        await asyncio.sleep(60)
        raise TooMany("more messages match than one request may get")


class UnpagedState(ports.PagedState):
    reader = UnpagedReader


class OversizedState(ports.PagedState):
    """Sends whatever is to be stored."""

    def check(self, sizes):
        pass


class OversizedLog(ports.Log):
    """Does not ask how much the server takes."""

    largest = 8 << 20


class ForgetfulState(ports.PagedState):
    """Keeps in memory only which events have changed nothing."""

    async def commit(self, changes):
        forgotten = [replace(each, hashes=()) if isinstance(each, PutSeen) else each for each in changes]
        return await super().commit(forgotten)


class LosingLetters(ports.Letters):
    """Keeps no dead letters."""

    async def keep(self, letter):
        pass


class SilentLog(ports.Log):
    """Loses a fact now and then, as a relay would that skips one."""

    async def append(self, entries):
        facts = "/flows/" in entries[0].event.source
        if not (facts and self._network.chance(0.02)):
            await super().append(entries)


class UnsafeLog(ports.Log):
    """Says yes before the events are on disk."""

    async def _append(self, entries):
        if not self._network.chance(0.02):
            await super()._append(entries)


class StubbornTransport(Transport):
    """Tries again by itself when it does not know what became of a mail."""

    async def hand_over(self, mail, *, start_by, give_up_at):
        outcome = await super().hand_over(mail, start_by=start_by, give_up_at=give_up_at)
        if isinstance(outcome, Unknown):
            return await super().hand_over(mail, start_by=start_by, give_up_at=give_up_at)
        return outcome


class StubbornTransports(ports.Transports):
    def __init__(self, office, network):
        self._transport = StubbornTransport(office, network)


class DeafConsents(ports.Consents):
    """Never hears that somebody has left."""

    def of(self, address):
        return Consent(dict.fromkeys(super().of(address).topics, True))


class DeafOwnership(ports.Ownership):
    """Goes on with a shard whose lease is somebody else's."""

    async def _keep(self, index, lease):
        if lease.holder in {"", self._leases.replica}:
            await super()._keep(index, lease)


class TrustingState(ports.State):
    """Never looks whether somebody else has claimed."""

    async def now(self):
        return await self._network.call("time", self.state.stream.clock.now)


class EternalLeases(ports.Leases):
    """Never sees that a lease has run out."""

    _seen = {}

    async def read(self):
        view = await super().read()
        self._seen = {**self._seen, **view.leases}
        return View(view.members, self._seen)


class LonelyLeases(ports.Leases):
    """Never sees that there are others."""

    async def read(self):
        view = await super().read()
        return View(view.members & {self.replica}, view.leases)


class BackwardCatalog(ports.Catalog):
    """Lets people in on the revision before."""

    def flow(self, flow):
        plan = super().flow(flow)
        return replace(plan, revision=plan.earlier[0]) if plan is not None and plan.earlier else plan


class RestlessCatalog(ports.Catalog):
    """Knows of no suspension."""

    def is_suspended(self, flow, provider=""):
        return False


class OpenCatalog(ports.Catalog):
    """Does not see that a flow is deleted."""

    def flow(self, flow):
        plan = super().flow(flow)
        return replace(plan, deleted=False) if plan is not None else None


class DeafPlans(ports.Plans):
    """Hears of no change."""

    def _hear(self):
        pass


class UncountedReports(ports.Reports):
    """Counts nobody."""

    async def write(self, shard, reports):
        empty = {flow: report and replace(report, journeys={}) for flow, report in reports.items()}
        await super().write(shard, empty)


class TrustfulReports(ports.Reports):
    """Writes over whatever has been written meanwhile."""

    def collides(self, name, revision):
        return False


class UncheckedConnection(ports.Connection):
    """Writes plans over whatever has been written meanwhile."""

    def collides(self, revision, expected):
        return False


class LazyConnection(ports.Connection):
    """Makes consumers, and leaves them their first filter."""

    async def api(self, subject, body=None):
        if subject.startswith("CONSUMER.CREATE.") and self._jetstream.has(body["config"]["name"]):
            there = self._jetstream.filter_of(body["config"]["name"])
            body = {**body, "config": {**body["config"], "filter_subjects": there}}
        return await super().api(subject, body)


def unbounded(name):
    """What should be bounded isn't."""
    return make(SMALL={**limits.SMALL, name: 1_000_000})


class Planted(NamedTuple):
    """`finds`: words of the oracle that finds it, empty: whichever does; `worlds`: those in which it can show
    at all, by their features."""

    make: types.SimpleNamespace
    finds: str = ""
    worlds: str = ""


PLANTED = {
    "acknowledged before the commit": Planted(make(Feeds=feeds(HastyFeed))),
    "a gap in a feed is not noticed": Planted(make(Feeds=feeds(GappyFeed))),
    "no way back at take-over": Planted(make(Feeds=feeds(ForgetfulFeed))),
    "no fence": Planted(make(State=UnfencedState), "somebody else wrote in epoch"),
    "a commit that was not": Planted(make(State=LyingState)),
    "an epoch is kept": Planted(make(State=TrustfulState), "the log and the record differ"),
    "a fact is not relayed": Planted(make(Log=SilentLog)),
    "an event is not stored": Planted(make(Log=UnsafeLog)),
    "sent again after unknown": Planted(make(Transports=StubbornTransports)),
    "consent is not looked at": Planted(make(Consents=DeafConsents)),
    "no fence among replicas": Planted(make(State=UnfencedState), "somebody else wrote in epoch", "replicas"),
    "a lost lease is not looked at": Planted(
        make(Ownership=DeafOwnership, State=TrustingState), "is owned in the end by", "replicas"
    ),
    "leases do not run out": Planted(make(Leases=EternalLeases), "is owned in the end by []", "replicas"),
    "nothing is handed over": Planted(make(Leases=LonelyLeases), "shared unevenly", "replicas"),
    "people enter on the revision before": Planted(
        make(Catalog=BackwardCatalog), "on a revision that was not in force", "changes"
    ),
    "a suspension is not known": Planted(make(Catalog=RestlessCatalog), "while it was suspended", "changes"),
    "a deletion is not known": Planted(make(Catalog=OpenCatalog), "which is deleted", "changes"),
    "a change of plans is not heard of": Planted(
        make(Plans=DeafPlans), "does not go by PLANS in the end", "changes"
    ),
    "a report counts nobody": Planted(make(Reports=UncountedReports), "has lost its step", "changes"),
    "a report takes another one back": Planted(
        make(Reports=TrustfulReports), "is not acknowledged in the end", "changes"
    ),
    "a plan takes another one back": Planted(
        make(Connection=UncheckedConnection), "has lost its step", "changes"
    ),
    "a consumer keeps its filter": Planted(make(Connection=LazyConnection), "nobody entered", "changes"),
    "a consumer knows of no other exits": Planted(
        make(Connection=LazyConnection), "an exit was overtaken", "changes"
    ),
    "what is too much at once is not asked for in parts": Planted(
        make(PagedState=UnpagedState), "somebody else waited", "adversary"
    ),
    "sizes are not looked at": Planted(
        make(PagedState=OversizedState, Log=OversizedLog), "bytes went to NATS", "adversary"
    ),
    "what was ignored is in memory only": Planted(
        make(PagedState=ForgetfulState), "a journey should not be: ('form'", "adversary"
    ),
    "a dead letter is not kept": Planted(
        make(Letters=LosingLetters), "a journey is missing: ('ticket'", "adversary"
    ),
    "any number of journeys may be open": Planted(
        unbounded(limits.OPEN_JOURNEYS), "open journeys of", "adversary"
    ),
    "open journeys may weigh anything": Planted(unbounded(limits.OPEN_BYTES), "bytes of (", "adversary"),
    "enrolments are not let go of": Planted(unbounded(limits.ENROLMENTS), "of enrolments", "adversary"),
    "ended journeys stay in memory": Planted(unbounded(limits.ENDED), "ended journeys of", "adversary"),
    "types of events are remembered without end": Planted(unbounded(limits.TYPES), "of types", "adversary"),
}
