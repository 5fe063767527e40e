"""A stream and its durable consumers, as nats-server keeps them: sequences, floors, pins, redeliveries.

The behaviour that owners of a shard depend on was measured on nats-server 2.15.1 (tests/contract/feed).
"""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Any, NamedTuple

from emailflow_api.jetstream.topology import ACK_WAIT
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import Standing

SECOND = 1_000_000_000
MAX_ACK_PENDING = 4096


class Stored(NamedTuple):
    """A message: its sequence, its time (nanoseconds), its subject and content."""

    sequence: int
    at: int
    subject: str
    content: Any


class Sent(NamedTuple):
    """A message on its way to whoever holds the consumer. `number` counts what was sent since the reset,
    `pin` names the holding."""

    number: int
    message: Stored
    pin: int


class Stream:
    """Messages in order. A sequence may be taken without a message that a consumer could read."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.messages: list[Stored] = []
        self.last_sequence = 0
        self._consumers: list[Consumer] = []

    def number(self) -> int:
        """Take the next sequence."""
        self.last_sequence += 1
        return self.last_sequence

    def append(self, subject: str, content: Any) -> int:
        """Store a message and wake whoever waits for it."""
        stored = Stored(self.number(), self.clock.now(), subject, content)
        self.messages.append(stored)
        for consumer in self._consumers:
            consumer.wake()
        return stored.sequence

    def consumer(self, wants: Callable[[str], bool], *, start: int = 0) -> "Consumer":
        """A new durable consumer of the subjects that it `wants`, above the sequence `start`."""
        made = Consumer(self, wants, start)
        self._consumers.append(made)
        return made


class Consumer:
    """A durable consumer with explicit acknowledgements, pinned to one holder at a time."""

    def __init__(self, stream: Stream, wants: Callable[[str], bool], start: int) -> None:
        self.plan = ""
        """The plan that it was made for."""
        self._stream = stream
        self._wants = wants
        self._floor = start
        self._delivered = start
        self._index = sum(message.sequence <= start for message in stream.messages)
        self._sent = 0
        self._pending: dict[int, tuple[Stored, int]] = {}
        """By sequence: what was sent and not acknowledged, and when it is sent again."""
        self._holder: object | None = None
        self._pin = 0
        self._changed = asyncio.Event()

    # --- what an owner asks for ---------------------------------------------------------------------

    def take_over(self, holder: object) -> Standing:
        """UNPIN, then RESET to the floor: everything not acknowledged comes again, in order."""
        self._holder, self._pin = holder, self._pin + 1
        self._delivered = self._floor
        self._index = next(
            (index for index, each in enumerate(self._stream.messages) if each.sequence > self._floor),
            len(self._stream.messages),
        )
        self._pending.clear()
        self._sent = 0
        self.wake()
        return self.standing()

    def unpin(self) -> None:
        """Nobody holds it any more; whoever pulls first will."""
        self._holder = None
        self.wake()

    def release(self, holder: object) -> None:
        """This one does not hold it any more: it has gone, or has been silent for `PIN_TIMEOUT`."""
        if self._holder is holder:
            self.unpin()

    def pull(self, holder: object, limit: int) -> list[Sent]:
        """What there is for this holder now; nothing for anybody else (423)."""
        if self._holder is None:
            self._holder, self._pin = holder, self._pin + 1
        if self._holder is not holder:
            return []
        limit = min(limit, MAX_ACK_PENDING - len(self._pending))
        sent = self._again(limit)
        return [*sent, *self._next(limit - len(sent))]

    def acknowledge(self, sequence: int) -> None:
        """It is done with, whoever says so. One that was not sent since the reset is not believed."""
        if self._pending.pop(sequence, None) and len(self._pending) == MAX_ACK_PENDING - 1:
            self.wake()

    def standing(self) -> Standing:
        """How it stands."""
        self._raise_floor()
        pending = sum(self._wants(each.subject) for each in self._stream.messages[self._index :])
        return Standing(pending, self._delivered, self._floor, self.plan)

    # --- waiting ------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Whoever waits looks again."""
        self._changed.set()

    async def changed(self, holder: object) -> None:
        """Return when there may be something to pull for this holder."""
        self._changed.clear()
        # The oldest one is the first: what is sent again goes to the end.
        due = next((again for _, again in self._pending.values()), 0)
        mine = self._holder is holder and due
        wait = max(0.0, (due - self._stream.clock.now()) / SECOND) if mine else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._changed.wait()

    # --- sending ------------------------------------------------------------------------------------

    def _again(self, limit: int) -> list[Sent]:
        now = self._stream.clock.now()
        late = takewhile(lambda each: each[1] <= now, list(self._pending.values()))
        return [self._send(message) for message, _ in islice(late, max(limit, 0))]

    def _next(self, limit: int) -> list[Sent]:
        found: list[Sent] = []
        messages = self._stream.messages
        while self._index < len(messages) and len(found) < limit:
            message = messages[self._index]
            self._index += 1
            self._delivered = message.sequence
            if self._wants(message.subject):
                found.append(self._send(message))
        return found

    def _send(self, message: Stored) -> Sent:
        self._sent += 1
        self._pending.pop(message.sequence, None)
        self._pending[message.sequence] = (message, self._stream.clock.now() + ACK_WAIT)
        return Sent(self._sent, message, self._pin)

    def _raise_floor(self) -> None:
        self._floor = max(self._floor, min(self._pending, default=self._delivered + 1) - 1)
