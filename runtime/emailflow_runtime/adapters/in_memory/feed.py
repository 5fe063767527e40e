"""Feeds in memory: what a process has of a consumer, one holder at a time.

Whatever did not arrive shows as a gap in the numbers; then the feed goes back to the floor, so that no
later message is ever given out before an earlier one.
"""

from collections.abc import Iterable, Sequence

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER
from emailflow_runtime.adapters.in_memory.broker import Broker, Unread
from emailflow_runtime.adapters.in_memory.stream import Consumer, Sent, Stored
from emailflow_runtime.app.stores import (
    Delivered,
    DeliveredEvent,
    Feed,
    LogEntry,
    Standing,
)
from emailflow_runtime.core.cloudevents.errors import MissingAttribute

BATCH = 256


class InMemoryFeed:
    """The port Feed."""

    def __init__(self, broker: Broker, name: str, shard: int) -> None:
        self._broker = broker
        self._name = name
        self._shard = shard
        self._consumer: Consumer | None = None
        self._expected = 1
        self._pin = 0

    async def consumer(self) -> Consumer:
        """The durable consumer behind it, once it is there."""
        if self._consumer is None:
            self._consumer = await self._broker.consumer(self._name, self._shard)
        return self._consumer

    async def take_over(self) -> Standing:
        """See Feed. Waits for the consumer: a flow's plan may be here before it."""
        consumer = await self.consumer()
        self._expected = 1
        return consumer.take_over(self)

    async def standing(self) -> Standing:
        """See Feed."""
        return (await self.consumer()).standing()

    async def next_batch(self) -> Sequence[Delivered]:
        """See Feed."""
        consumer = await self.consumer()
        while True:
            sent = self.pull(consumer)
            if batch := self.arrived(sent, consumer):
                return batch
            if not sent:
                await consumer.changed(self)

    def pull(self, consumer: Consumer) -> Sequence[Sent]:
        """What is on its way; the place where a network would lose it."""
        return consumer.pull(self, BATCH)

    def arrived(self, sent: Sequence[Sent], consumer: Consumer) -> list[Delivered]:
        """What of it can be given out. A gap in the numbers means that something was lost, another pin that
        somebody else held it in between, and may have begun the numbers anew: back to the floor then."""
        if sent and self._expected == 1:
            self._pin = sent[0].pin
        numbers = range(self._expected, self._expected + len(sent))
        if [(each.number, each.pin) for each in sent] != [(number, self._pin) for number in numbers]:
            self._expected = 1
            consumer.take_over(self)
            return []
        self._expected += len(sent)
        for each in sent:
            if isinstance(each.message.content, bytes):
                self._put_aside(each.message, consumer)
        return [_delivered(each) for each in sent if not isinstance(each.message.content, bytes)]

    def _put_aside(self, message: Stored, consumer: Consumer) -> None:
        """What is no event is a dead letter, and done with."""
        reason, data = MissingAttribute.reason, message.content
        self._broker.unread.append(Unread(reason, self._name, message.sequence, data))
        consumer.acknowledge(message.sequence)

    def acknowledge(self, batch: Iterable[Delivered]) -> None:
        """See Feed."""
        if self._consumer is not None:
            for each in batch:
                self._consumer.acknowledge(each.sequence)

    async def close(self) -> None:
        """See Feed."""
        self.fall_silent()

    def fall_silent(self) -> None:
        """Let go of the consumer, as the server does with one whose holder does not pull any more."""
        if self._consumer is not None:
            self._consumer.release(self)


def _delivered(sent: Sent) -> Delivered:
    message = sent.message
    sequence, at, token = message.sequence, message.at, str(message.sequence)
    entry: LogEntry = message.content
    return DeliveredEvent(
        sequence=sequence,
        at=at,
        token=token,
        event=entry.event,
        contact=entry.contact,
        redrive=entry.redrive,
    )


class InMemoryFeeds:
    """The port Feeds."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def feed(self, name: str, shard: int) -> Feed:
        """The feed of any consumer."""
        return InMemoryFeed(self._broker, name, shard)

    def flow(self, flow: str, shard: int) -> Feed:
        """See Feeds."""
        return self.feed(flow, shard)

    def contacts(self, shard: int) -> Feed:
        """See Feeds."""
        return self.feed(CONTACTS_CONSUMER, shard)
