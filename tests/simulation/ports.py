"""The ports in memory, reached over the network. One set for each process.

Where the real adapter resolves a fault by itself (a commit whose answer was lost), the port does not show
it, and neither does this; what the port may show, it shows.
"""

import asyncio

from tests.simulation.answering import Paged
from tests.simulation.kv import Plans, Reports
from tests.simulation.leasing import Leases
from tests.simulation.limits import SMALL
from tests.simulation.loop import PROCESS
from tests.simulation.network import TIMEOUT
from tests.simulation.operating import Connection
from tests.simulation.provider import Transports
from tests.simulation.views import Catalog

from emailflow_runtime.adapters.in_memory.buckets import InMemoryAliases, InMemoryConsents
from emailflow_runtime.adapters.in_memory.event_log import InMemoryEventLog
from emailflow_runtime.adapters.in_memory.feed import InMemoryFeed, InMemoryFeeds
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.ownership import Ownership
from emailflow_runtime.app.stores import PutRecord, belong_together
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.weights import event_weight
from emailflow_runtime.errors import MessageTooLarge, Unavailable

__all__ = [
    "SMALL",
    "Aliases",
    "Catalog",
    "Connection",
    "Consents",
    "Feeds",
    "Leases",
    "Letters",
    "Log",
    "Ownership",
    "PagedState",
    "Plans",
    "Reports",
    "State",
    "Transports",
]

SINGLY = 8
"""Up to this many changes go to the server one by one (`batch.SINGLES_UP_TO`)."""


class Log(InMemoryEventLog):
    """The port EventLog."""

    def __init__(self, broker, network):
        super().__init__(broker)
        self._network = network

    async def append(self, entries):
        self.check([event_weight(entry.event) for entry in entries])
        if self._network.chance(0.01) and len(entries) > 1:
            # A few go one by one, and the connection may break between two of them.
            await self._append(entries[: self._network.random.randrange(1, len(entries))])
        await self._append(entries)

    def check(self, sizes):
        """As the adapter does, before anything is sent."""
        if max(sizes, default=0) > self.largest:
            raise MessageTooLarge(f"expected at most {self.largest} bytes, got {max(sizes)}")

    async def _append(self, entries):
        def effect():
            for entry in entries:
                self._network.take_size(event_weight(entry.event), self._broker.largest, entry.event.type)
                self._broker.append(entry)
            self._network.note("append", [(entry.event.source, entry.event.id) for entry in entries])

        await self._network.call("append", effect)

    async def last_sequence(self, shard):
        return await self._ask(super().last_sequence, shard)

    async def last_arrival(self, shard):
        return await self._ask(super().last_arrival, shard)

    async def last_fact(self, shard, types):
        return await self._ask(super().last_fact, shard, types)

    async def _ask(self, question, *arguments):
        """The answer is as old as its way back is long."""
        await self._network.call("end of log", lambda: None)
        answer = await question(*arguments)
        await self._network.call("end of log", lambda: None)
        return answer

    async def fill(self):
        return await self._network.call("fill", lambda: self._broker.fill)


class State(InMemoryStateStore):
    """The port StateStore."""

    def __init__(self, state, network):
        super().__init__(state)
        self._network = network
        self._process = PROCESS.get()

    async def claim(self):
        def effect():
            self.epoch = self.state.claim()
            self._network.claimants[self.state, self.epoch] = self
            self._network.note("claim", self.epoch)

        await self._network.insist("claim", effect)
        return self.epoch

    async def commit(self, changes):
        if self._network.chance(0.02):
            await self._held(list(changes))
        pieces = [list(changes)]
        if self._network.chance(0.1) and self.goes_singly(changes) and len(changes) > 1:
            cut = self._network.random.randrange(1, len(changes))
            pieces = [list(changes[:cut]), list(changes[cut:])]
        for piece in pieces:
            if piece is not pieces[0]:
                self._network.pass_by(0.1)
                await asyncio.sleep(0)
            last = await self._network.insist("commit", lambda piece=piece: self._store(piece))
        return last

    async def _held(self, changes):
        """The server that was sent it, or the rest of it, is paused: it will pass it on whenever it wakes up,
        and its owner goes on by another one."""
        cut = self._network.random.randrange(len(changes)) if self.goes_singly(changes) else 0
        if cut:
            await self._network.insist("commit", lambda: self._store(changes[:cut]))
        epoch, rest = self.epoch, changes[cut:]
        self._network.arrive_late("commit", lambda: self._store(rest, epoch))
        self._network.pass_by(0.1)
        await asyncio.sleep(TIMEOUT)
        await self.renew()

    async def renew(self):
        """Take a new epoch, as the shipped store does after a commit without an answer."""

        def effect():
            self.epoch = self.state.renew(self.epoch)
            self._network.claimants[self.state, self.epoch] = self
            self._network.note("renew", self.epoch)

        await self._network.insist("renew", effect)

    def goes_singly(self, changes):
        """Whether these would not be one batch."""
        return len(changes) <= SINGLY and not belong_together(changes)

    def _store(self, changes, epoch=None):
        """Under the epoch that it was sent under, which for a late one is not the last."""
        epoch = epoch or self.epoch
        for change in changes:
            mail = change.record.journey.mail if isinstance(change, PutRecord) else None
            if mail is not None:
                self._network.requested.setdefault(mail.id, self.state.stream.clock.now())
        self._network.note("commit", epoch, self.state.epoch, [_summary(each) for each in changes])
        last = [self.state.store(change, epoch) for change in changes][-1]
        for change in changes:
            if isinstance(change, PutRecord):
                now, record = self.state.stream.clock.now(), change.record
                # One that was restarted in the same moment lives on in the facts only.
                for journey in (record.journey.id, *(fact.journey for fact in record.facts)):
                    self._network.stored.setdefault(journey, (now, self._process))
        if self._network.claimants[self.state, self.state.epoch] is not self:
            self._network.strangers.append((self.state.epoch, last))
        return last

    async def now(self):
        return await self._network.call("time", lambda: self.state.now(self.epoch))

    async def enrolments(self, keys):
        return await self._read("enrolments", super().enrolments, list(keys))

    async def records(self, keys):
        return await self._read("records", super().records, list(keys))

    async def contacts(self, keys):
        return await self._read("contacts", super().contacts, list(keys))

    async def relay_position(self):
        return await self._read("relay position", super().relay_position)

    async def in_hand(self):
        return await self._read("in hand", super().in_hand)

    async def _read(self, name, read, *arguments):
        await self._network.insist(name, lambda: None)
        found = await read(*arguments)
        await self._network.insist(name, lambda: None)
        return found


class PagedState(Paged, State):
    """The port StateStore of worlds in which nats-server's bounds count."""


def _summary(change):
    journey = getattr(getattr(change, "record", None), "journey", None)
    if journey is not None:
        mail = journey.mail and (journey.mail.id, journey.mail.status, journey.mail.attempts)
        return ("record", journey.id, journey.instance, journey.facts, journey.step, journey.result, mail)
    return (
        type(change).__name__,
        *(getattr(change, name) for name in ("address", "at", "sequence") if hasattr(change, name)),
    )


class Deleted(Exception):
    """The consumer is not there any more."""


class LossyFeed(InMemoryFeed):
    """The port Feed, over a connection that may break while messages are on their way."""

    def __init__(self, broker, name, shard, network):
        super().__init__(broker, name, shard)
        self._network = network

    def _is_there(self, consumer):
        return self._broker._consumers.get((self._name, self._shard)) is consumer

    async def consumer(self):
        if self._consumer is not None and not self._is_there(self._consumer):
            self._consumer = None
        return await super().consumer()

    async def take_over(self):
        await self._network.insist("take over", lambda: None)
        return await super().take_over()

    async def standing(self):
        def effect():
            if not self._is_there(consumer):
                raise Unavailable("there is no such consumer")
            return consumer.standing()

        consumer = await self.consumer()
        return await self._network.call("standing", effect)

    async def next_batch(self):
        while True:
            await self._network.insist("pull", lambda: None)
            try:
                batch = await super().next_batch()
            except Deleted:
                # One that is made again begins its numbers anew, so that the shipped feed takes it over.
                await self.take_over()
                continue
            self._network.note("batch", self._name, [each.sequence for each in batch])
            return batch

    def pull(self, consumer):
        if not self._is_there(consumer):
            raise Deleted
        limit = self._network.random.choice((1, 2, 8, 256)) if not self._network.calm else 256
        sent = consumer.pull(self, limit)
        if sent and self._network.chance(0.01):
            self._network.note("lost on the way", self._name, len(sent))
            return []
        return sent

    def acknowledge(self, batch):
        sequences = [each.sequence for each in batch]
        if self._network.chance(0.02) or self._consumer is None:
            return
        loop = asyncio.get_running_loop()
        arrive, network = self._acknowledged, self._network
        loop.call_later(network.lag(), arrive, self._consumer, sequences, context=network.world)

    def _acknowledged(self, consumer, sequences):
        if self._network.closed or self._network.away:
            return
        self._network.note("ack", self._name, sequences)
        for sequence in sequences:
            consumer.acknowledge(sequence)


class Feeds(InMemoryFeeds):
    """The port Feeds."""

    def __init__(self, broker, network):
        super().__init__(broker)
        self._network = network
        self.made = []

    def feed(self, name, shard):
        self.made.append(LossyFeed(self._broker, name, shard, self._network))
        return self.made[-1]


class Letters:
    """The port DeadLetters."""

    def __init__(self, broker, network):
        self._broker = broker
        self._network = network

    async def keep(self, letter):
        await self._network.insist("dead letter", lambda: self._broker.letters.append(letter))


class Aliases(InMemoryAliases):
    """The port Aliases."""

    def __init__(self, broker, network):
        super().__init__(broker)
        self._network = network

    async def lookup(self, identifiers):
        wanted, known = list(identifiers), self._broker.aliases
        return await self._network.call(
            "lookup", lambda: {each: known[each] for each in wanted if each in known}
        )

    async def claim(self, wanted):
        known = self._broker.aliases
        return await self._network.call(
            "alias", lambda: {each: known.setdefault(each, key) for each, key in wanted.items()}
        )


class Consents(InMemoryConsents):
    """The port Consents: a process has its own copy, and hears a little later what others put."""

    def __init__(self, broker, network):
        super().__init__(broker)
        self._network = network
        self._known = {address: dict(topics) for address, topics in broker.consents.items()}
        network.hearers.append(self._hear)

    def of(self, address):
        return Consent(dict(self._known.get(address, {})))

    async def catch_up(self):
        def effect():
            return {address: dict(topics) for address, topics in self._broker.consents.items()}

        self._known = await self._network.insist("consents", effect)

    async def put(self, address, topic, *, subscribed, at, event=0):
        def effect():
            self._network.note("consent", address, topic, subscribed)
            self._broker.say(address, topic, subscribed=subscribed, at=at, event=event)
            for hear in self._network.hearers:
                loop.call_later(self._network.lag(), hear, address, topic, context=self._network.world)

        loop = asyncio.get_running_loop()
        await self._network.call("consent", effect)
        self._hear(address, topic)

    def _hear(self, address, topic):
        self._known.setdefault(address, {})[topic] = self._broker.consents[address][topic]
