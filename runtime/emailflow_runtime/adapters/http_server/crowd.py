"""All connections of one server: how many there may be, of whom, and which of them have had their time.

They are looked at together, a few times a second, so that a request costs no alarm of its own.
"""

from collections import Counter
from typing import Protocol

from emailflow_runtime.adapters.http_server.limits import ServerLimits

LOOK_AGAIN = 0.1
"""Seconds after a search for an idle connection that found none."""


class Guest(Protocol):
    """A connection, as the crowd sees it."""

    @property
    def peer(self) -> str:
        """Whose it is."""

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing under way."""

    def leave(self) -> None:
        """End, soon."""

    def look(self, now: float) -> None:
        """End what has had its time."""


class Crowd:
    """Knows every open connection."""

    def __init__(self, limits: ServerLimits, connections: int) -> None:
        """`connections` at most: the limits', or what the process has descriptors for."""
        self._most = connections
        self._most_of_peer = min(limits.connections_of_peer, max(1, connections // 2))
        self._guests: dict[Guest, None] = {}
        self._of_peer: Counter[str] = Counter()
        self._none_idle_until = 0.0

    def __len__(self) -> int:
        return len(self._guests)

    def join(self, guest: Guest, now: float) -> bool:
        """Let a connection in; one that is idle leaves for it where there are too many. False: no room."""
        full = len(self._guests) >= self._most
        crowded = self._of_peer[guest.peer] >= self._most_of_peer
        if (full or crowded) and not self._make_room(guest.peer if crowded else None, now):
            return False
        self._guests[guest] = None
        self._of_peer[guest.peer] += 1
        return True

    def part(self, guest: Guest) -> None:
        """A connection is gone, or about to; twice is once."""
        if guest in self._guests:
            del self._guests[guest]
            self._of_peer[guest.peer] -= 1
            if not self._of_peer[guest.peer]:
                del self._of_peer[guest.peer]

    def look(self, now: float) -> None:
        """End what has had its time."""
        for guest in list(self._guests):
            guest.look(now)

    def _make_room(self, peer: str | None, now: float) -> bool:
        if now < self._none_idle_until:
            return False
        for guest in self._guests:
            if guest.is_idle and peer in (None, guest.peer):
                self.part(guest)
                guest.leave()
                return True
        self._none_idle_until = now + LOOK_AGAIN
        return False
