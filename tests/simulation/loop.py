"""An event loop whose time is virtual and whose order is drawn from a seed.

Nothing waits: when nobody is ready, time jumps to the next timer. A task may be held back behind whatever
else is ready, as if it had awaited once more; plain callbacks keep asyncio's order, which programs may
rely on. Processes are told apart by a context variable, so that one can be stopped, or end, at any await.
"""

import asyncio
import heapq
import random
from collections import deque
from contextvars import ContextVar

PROCESS: ContextVar[str] = ContextVar("process", default="")
"""Whose step it is; empty: the world's."""
MOST_STEPS = 3_000_000
"""A run takes some ten thousand. More than this means that somebody runs in circles."""


class Deadlock(AssertionError):
    """Nobody is ready, no timer is set, and the run has not finished."""


class Livelock(AssertionError):
    """The run does not come to an end."""


class NumberedTask(asyncio.Task):
    """A task whose hash is its number, so that sets of tasks have the same order in every run."""

    def __init__(self, coroutine, *, loop, number, **options):
        self._hash = number
        super().__init__(coroutine, loop=loop, **options)

    def __hash__(self):
        return self._hash


class NumberedFuture(asyncio.Future):
    """The same for futures."""

    def __init__(self, *, loop, number):
        self._hash = number
        super().__init__(loop=loop)

    def __hash__(self):
        return self._hash


class SimulatedLoop(asyncio.BaseEventLoop):
    """Runs a whole world of processes in one thread and in no time."""

    def __init__(self, seed, *, shuffle=0.1):
        super().__init__()
        self._now = 0.0
        self._clock_resolution = 1e-9
        self._draw = random.Random(f"loop {seed}").random
        self._shuffle = shuffle
        self._number = 0
        self._stopped: dict[str, deque] = {}
        """By process: the steps that it would take if it ran."""
        self.steps = 0
        self.set_task_factory(self._make_task)

    # --- what asyncio asks for ----------------------------------------------------------------------

    def time(self):
        return self._now

    def create_future(self):
        self._number += 1
        return NumberedFuture(loop=self, number=self._number)

    def _make_task(self, loop, coroutine, **options):
        self._number += 1
        return NumberedTask(coroutine, loop=loop, number=self._number, **options)

    def _run_once(self):
        if not self._ready:
            self._jump()
        for _ in range(len(self._ready)):
            handle = self._next()
            if handle is not None and not handle._cancelled:
                self.steps += 1
                handle._run()
        if self.steps > MOST_STEPS:
            raise Livelock(f"{MOST_STEPS} steps, now at {self._now:.3f} s")

    def _jump(self):
        """Go to the next timer. Ties are taken in the order in which they were set."""
        while self._scheduled and self._scheduled[0]._cancelled:
            heapq.heappop(self._scheduled)
        if not self._scheduled:
            if self._stopping:
                return
            raise Deadlock(f"nothing is scheduled any more at {self._now:.3f} s")
        self._now = max(self._now, self._scheduled[0]._when)
        while self._scheduled and self._scheduled[0]._when <= self._now:
            handle = heapq.heappop(self._scheduled)
            handle._scheduled = False
            self._ready.append(handle)

    def _next(self):
        """The next handle to run; None when its process doesn't."""
        handle = self._ready.popleft()
        if self._stopped:
            process = handle._context.get(PROCESS, "")
            if process in self._stopped:
                self._stopped[process].append(handle)
                return None
        if self._ready and self._draw() < self._shuffle and _is_step(handle):
            self._ready.append(handle)
            handle = self._ready.popleft()
            if self._stopped and handle._context.get(PROCESS, "") in self._stopped:
                self._ready.appendleft(handle)
                return None
        return handle

    def _process_events(self, event_list):
        raise NotImplementedError("there is no I/O")

    def _write_to_self(self):
        raise NotImplementedError("there are no threads")

    def call_soon_threadsafe(self, callback, *args, context=None):
        # Only asyncio's own closing of generators comes this way, from this thread.
        return self.call_soon(callback, *args, context=context)

    # --- processes ----------------------------------------------------------------------------------

    def stop_process(self, process):
        """SIGSTOP: it takes no step any more, until `resume_process`, maybe never."""
        self._stopped.setdefault(process, deque())

    def resume_process(self, process):
        """SIGCONT: it goes on as if nothing had been."""
        self._ready.extend(self._stopped.pop(process, ()))

    @property
    def stopped(self):
        """The processes that don't run."""
        return tuple(self._stopped)


def _is_step(handle):
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)


def run(main, seed, *, shuffle=0.1):
    """Run `main(loop)` to its end on a loop of its own; then end every task that is left."""
    loop = SimulatedLoop(seed, shuffle=shuffle)
    asyncio.set_event_loop(None)
    try:
        return loop.run_until_complete(main(loop))
    finally:
        _end(loop)


def _end(loop):
    loop.steps = 0
    for process in loop.stopped:
        loop.resume_process(process)
    for _ in range(5):
        left = sorted(asyncio.all_tasks(loop), key=hash)
        if not left:
            break
        for task in left:
            task.cancel()
        # One that cleans up may take its time; virtual time is free.
        loop.run_until_complete(asyncio.wait(left, timeout=30))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
