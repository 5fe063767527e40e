"""So long for each of many waits, by one alarm for all of them.

asyncio.timeout sets an alarm for each and takes it back, which costs more than reading a body that came with
its headers, as most do. It knows nothing of requests.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Patience:
    """The same number of seconds for everybody."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: dict[asyncio.Task[Any], float] = {}
        """By who waits. All wait equally long, so those that began first come first."""
        self._ended: set[asyncio.Task[Any]] = set()
        self._alarm: asyncio.TimerHandle | None = None

    async def wait(self, waiting: Awaitable[Result]) -> Result:
        """What it comes to. Raises TimeoutError when it takes too long."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be told that its time is over")
        until = self._until[task] = loop.time() + self.seconds
        if self._alarm is None:
            self._alarm = loop.call_at(until, self._ring)
        try:
            return await waiting
        except asyncio.CancelledError:
            # Whoever else has cancelled the task meanwhile gets what it wanted.
            if task not in self._ended or task.uncancel():
                raise
            raise TimeoutError from None
        finally:
            self._until.pop(task, None)
            self._ended.discard(task)

    def _ring(self) -> None:
        loop = asyncio.get_running_loop()
        self._alarm = None
        for task, until in list(self._until.items()):
            if until > loop.time():
                self._alarm = loop.call_at(until, self._ring)
                return
            del self._until[task]
            self._ended.add(task)
            task.cancel()
