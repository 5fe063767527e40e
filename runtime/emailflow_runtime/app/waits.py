"""What journeys wait for, by when it is due: a million of them in some 50 MB.

What is due within about a minute is a heap; the rest lies packed in bytes, by the minute in which it is due.
Nothing is ever taken out early: whoever gets a wait looks at the journey's record, which is the truth. It
reads no clock.
"""

import heapq
import struct
from collections.abc import Iterator
from typing import NamedTuple

SPAN = 36
"""Far waits lie together by 2 to this power of nanoseconds: some 69 s."""
_packed = struct.Struct("<QIHH")
"""When it is due, the number of its flow, and how long the names of contact and instance are."""


class Wait(NamedTuple):
    """A journey's place, and when it wants to be woken (nanoseconds since 1970 UTC)."""

    due: int
    flow: str
    contact: str
    instance: str


class Waits:
    """A queue by time."""

    def __init__(self) -> None:
        self._near: list[Wait] = []
        self._far: dict[int, bytearray] = {}
        self._spans: list[int] = []
        """A heap of the keys of `_far`."""
        self._opened = 0
        """Spans up to this one are in `_near`."""
        self._flows: list[str] = []
        self._numbers: dict[str, int] = {}

    def put(self, wait: Wait) -> None:
        """Add one."""
        span = wait.due >> SPAN
        if span <= self._opened:
            heapq.heappush(self._near, wait)
            return
        if span not in self._far:
            self._far[span] = bytearray()
            heapq.heappush(self._spans, span)
        self._far[span] += self._pack(wait)

    def next_due(self) -> int | None:
        """When to look again at the latest; None: nothing waits."""
        moments = [self._near[0].due] if self._near else []
        if self._spans:
            moments.append(self._spans[0] << SPAN)
        return min(moments, default=None)

    def take(self, now: int) -> list[Wait]:
        """Everything that is due at `now`, in order."""
        while self._spans and self._spans[0] << SPAN <= now:
            span = self._opened = heapq.heappop(self._spans)
            for wait in self._unpack(self._far.pop(span)):
                heapq.heappush(self._near, wait)
        due = []
        while self._near and self._near[0].due <= now:
            due.append(heapq.heappop(self._near))
        return due

    def _pack(self, wait: Wait) -> bytes:
        number = self._numbers.setdefault(wait.flow, len(self._flows))
        if number == len(self._flows):
            self._flows.append(wait.flow)
        contact, instance = wait.contact.encode(), wait.instance.encode()
        return _packed.pack(wait.due, number, len(contact), len(instance)) + contact + instance

    def _unpack(self, packed: bytearray) -> Iterator[Wait]:
        at = 0
        while at < len(packed):
            due, number, contact, instance = _packed.unpack_from(packed, at)
            names = at + _packed.size
            at = names + contact + instance
            name = packed[names : names + contact].decode(), packed[names + contact : at].decode()
            yield Wait(due, self._flows[number], *name)
