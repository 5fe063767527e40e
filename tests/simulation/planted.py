"""Ports with a fault planted in each: what the machinery would do if somebody had written it wrongly.

Each stands for a mistake that a change could bring. The simulation has to find every one of them.
"""

import types

from tests.simulation import ports
from tests.simulation.provider import Transport

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

    def _store(self, changes):
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


PLANTED = {
    "acknowledged before the commit": make(Feeds=feeds(HastyFeed)),
    "a gap in a feed is not noticed": make(Feeds=feeds(GappyFeed)),
    "no way back at take-over": make(Feeds=feeds(ForgetfulFeed)),
    "no fence": make(State=UnfencedState),
    "a commit that was not": make(State=LyingState),
    "a fact is not relayed": make(Log=SilentLog),
    "an event is not stored": make(Log=UnsafeLog),
    "sent again after unknown": make(Transports=StubbornTransports),
    "consent is not looked at": make(Consents=DeafConsents),
}
