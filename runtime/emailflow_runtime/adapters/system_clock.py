"""The wall clock: the only place of the runtime that reads it."""

import time


class SystemClock:
    """The port Clock."""

    def now(self) -> int:
        """See Clock."""
        return time.time_ns()  # noqa: TID251 - this is the clock
