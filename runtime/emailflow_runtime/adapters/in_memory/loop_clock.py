"""A clock that goes with the event loop, so that virtual time is time for everybody."""

import asyncio

SECOND = 1_000_000_000


class LoopClock:
    """The port Clock. `start` is what it says (nanoseconds since 1970 UTC) when the loop says `zero`."""

    def __init__(self, start: int, *, zero: float = 0.0) -> None:
        self.start = start
        self.zero = zero

    def now(self) -> int:
        """See Clock."""
        passed = asyncio.get_running_loop().time() - self.zero
        return self.start + int(passed * SECOND)
