"""What journeys wait for, by when it is due: a million of them in some 50 MB.

What is due within about a minute is a heap; the rest lies packed in bytes, by the minute in which it is due.
Nothing is ever taken out early: whoever gets a wait looks at the journey's record, which is the truth. It
reads no clock.
"""

import heapq
import struct
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

    def take(self, now: int, at_most: int) -> list[Wait]:
        """What is due at `now`, so many at most, in order but where more than that falls due within a span.
        `next_due` says whether there is more."""
        opened = 0
        while self._spans and self._spans[0] << SPAN <= now and opened < at_most:
            opened += self._open(self._spans[0], at_most - opened)
        due: list[Wait] = []
        while self._near and self._near[0].due <= now and len(due) < at_most:
            due.append(heapq.heappop(self._near))
        return due

    def _open(self, span: int, at_most: int) -> int:
        """Bring so many of a span near; how many there were."""
        packed, at, count = self._far[span], 0, 0
        while at < len(packed) and count < at_most:
            wait, at = self._unpack(packed, at)
            heapq.heappush(self._near, wait)
            count += 1
        del packed[:at]
        if not packed:
            del self._far[span]
            heapq.heappop(self._spans)
            self._opened = span
        return count

    def _pack(self, wait: Wait) -> bytes:
        number = self._numbers.setdefault(wait.flow, len(self._flows))
        if number == len(self._flows):
            self._flows.append(wait.flow)
        contact, instance = wait.contact.encode(), wait.instance.encode()
        return _packed.pack(wait.due, number, len(contact), len(instance)) + contact + instance

    def _unpack(self, packed: bytearray, at: int) -> tuple[Wait, int]:
        """The wait that is packed here, and where the next one begins."""
        due, number, contact, instance = _packed.unpack_from(packed, at)
        names = at + _packed.size
        end = names + contact + instance
        name = packed[names : names + contact].decode(), packed[names + contact : end].decode()
        return Wait(due, self._flows[number], *name), end
