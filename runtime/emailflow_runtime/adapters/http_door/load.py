"""What the door holds at this moment: how many requests, and how many bytes of their bodies.

Both are bounded, so that memory is too, whoever sends whatever how fast.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from emailflow_runtime.errors import Overloaded


class Load:
    """Counts what is in flight."""

    def __init__(self, *, max_requests: int, max_bytes: int) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._requests = 0
        self._bytes = 0

    @contextmanager
    def request(self) -> Iterator["Share"]:
        """One request, from here to its answer. Raises Overloaded when there are too many."""
        if self._requests >= self._max_requests:
            raise Overloaded("too many requests at once")
        self._requests += 1
        share = Share(self)
        try:
            yield share
        finally:
            self._requests -= 1
            self._bytes -= share.size

    def grow(self, size: int) -> None:
        """Raises Overloaded when `size` bytes more are too many."""
        if self._bytes + size > self._max_bytes:
            raise Overloaded("too many bytes of requests at once")
        self._bytes += size


class Share:
    """What one request has of the load; given back when it is answered."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.size = 0

    def grow(self, size: int) -> None:
        """Count `size` bytes more. Raises Overloaded when all requests together have too many."""
        self._load.grow(size)
        self.size += size
