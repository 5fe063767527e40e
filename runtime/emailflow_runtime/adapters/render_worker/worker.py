"""What the pool knows of one worker: what it was given, what it still owes, how long it has been silent.

Replies come in the order of the orders, so the first that is owed is the one being rendered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.adapters.render_worker.frames import Order, Orders, Reply, framed
from emailflow_runtime.adapters.render_worker.process import WorkerProcess
from emailflow_runtime.rendering.rendered import Rendered

log = logging.getLogger(__name__)

BREACHES = frozenset({"TemplateMemory", "TemplateTooLarge"})
"""Reasons that a worker gives by itself, and that say that the template broke a limit."""

_KNOWN = 1000
"""Templates that a worker keeps before it is told to forget them all."""


class Limits(NamedTuple):
    """What a worker may use: bytes of address space, seconds a mail."""

    memory: int
    deadline: float


@dataclass(eq=False)
class Job:
    """A mail that somebody waits for. `died`: a worker ended by itself while it was at it."""

    id: int
    template: TemplatePlan
    name: str
    """The template's content hash."""
    locale: str
    context: msgspec.Raw
    result: "asyncio.Future[Rendered]"
    died: bool = False


class Worker:
    """A process and its open orders."""

    def __init__(self, on_change: Callable[["Worker", list[tuple[Job, Reply]]], None]) -> None:
        """`on_change` is called when the worker is ready, has answered, or is gone (`gone`)."""
        self._on_change = on_change
        self._owed: deque[int] = deque()
        self._jobs: dict[int, Job] = {}
        self._known: set[str] = set()
        self.ready = False
        self.gone = False
        self.stalled = False
        self.worn = False
        """A template has blown up its memory; it ends once its orders are done."""
        self.started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """True once it is ready, False when it never will be."""
        self.silent = 0
        """Looks at it since it last answered, while it owes something."""
        self.process = WorkerProcess(on_ready=self._is_ready, on_replies=self._take, on_end=self._ended)

    @property
    def owing(self) -> int:
        """How many replies are to come."""
        return len(self._owed)

    @property
    def usable(self) -> bool:
        """Whether it may get more to do."""
        return self.ready and not (self.gone or self.stalled or self.worn)

    @property
    def current(self) -> Job | None:
        """The mail that it is at, unless somebody else has taken that over."""
        return self._jobs.get(self._owed[0]) if self._owed else None

    async def start(self, limits: Limits) -> None:
        """Start the process; `started` says how it went."""
        try:
            await self.process.start(memory=limits.memory, seconds=limits.deadline)
        except OSError as error:
            log.warning("a render worker could not start: %s", error)
            self._ended()

    def give(self, jobs: list[Job]) -> None:
        """Send these to the worker, in one frame."""
        forget = len(self._known) > _KNOWN
        if forget:
            self._known.clear()
        new = {job.name: job.template for job in jobs if job.name not in self._known}
        self._known.update(new)
        orders = tuple(Order(job.id, job.name, job.locale, job.context) for job in jobs)
        if not self._owed:
            self.silent = 0
        self._owed.extend(job.id for job in jobs)
        self._jobs.update((job.id, job) for job in jobs)
        self.process.send(framed(Orders(orders, new, forget)))

    def release(self, *, current: bool) -> list[Job]:
        """Give up what hasn't been begun, and with `current` also what has; late replies don't count."""
        kept = None if current else self.current
        jobs = [job for job in self._jobs.values() if job is not kept]
        self._jobs = {} if kept is None else {kept.id: kept}
        return jobs

    def _is_ready(self) -> None:
        self.ready = True
        self.started.set_result(True)
        self._on_change(self, [])

    def _take(self, replies: list[Reply]) -> None:
        answered: list[tuple[Job, Reply]] = []
        for reply in replies:
            if not self._owed or self._owed[0] != reply.id:
                self.process.kill()
                break
            self._owed.popleft()
            self.worn = self.worn or reply.reason in BREACHES
            if (job := self._jobs.pop(reply.id, None)) is not None:
                answered.append((job, reply))
        self.silent = 0
        self.stalled = self.stalled and bool(self._owed)
        self._on_change(self, answered)

    def _ended(self) -> None:
        self.gone = True
        if not self.started.done():
            self.started.set_result(False)
        self._on_change(self, [])
