"""A queue of mails and the workers that serve it: who renders what, and what silence or death means.

A worker that is silent for a moment loses what waits behind its mail to another; one that is silent for
a mail's whole time is killed. Time is counted in looks at the workers, so that an event loop that was
held up convicts nobody. Whose fault a breach was, and what follows, is the pool's to say.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

from emailflow_runtime.adapters.render_worker.frames import Reply
from emailflow_runtime.adapters.render_worker.worker import Job, Limits, Worker
from emailflow_runtime.errors import Unavailable

log = logging.getLogger(__name__)

TICK = 0.01
"""Seconds between two looks at the workers."""

_STALL_TICKS = 2
_RESTART_AFTER = 1.0
"""Seconds before another try, when a worker could not start."""

_EXTRA = 2
"""Workers over a lane's size while all of those are held up."""


class Judge(Protocol):
    """Who hears what became of a mail. Each mail is told of once."""

    def answered(self, job: Job, reply: Reply) -> None:
        """The worker has answered."""

    def overdue(self, job: Job) -> None:
        """The worker was killed because of this mail."""

    def died(self, job: Job) -> None:
        """The worker ended by itself while it was at this mail."""


class Lane:
    """Mails in order of arrival, to at most `size` workers with `at_once` mails each."""

    def __init__(self, *, size: int, at_once: int, limits: Limits, judge: Judge) -> None:
        self._size = size
        self._at_once = at_once
        self._limits = limits
        self._judge = judge
        self._waiting: deque[Job] = deque()
        self._workers: list[Worker] = []
        self._wanted = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def busy(self) -> bool:
        """Whether anybody waits for a mail."""
        return bool(self._waiting) or any(worker.owing for worker in self._workers)

    @property
    def pids(self) -> list[int]:
        """The process ids of its workers."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    async def open(self) -> None:
        """Start one worker; the others follow with the first mail. Raises Unavailable."""
        self._wanted = 1
        if not await self._add().started:
            raise Unavailable("a render worker could not start; its standard error says why")

    def put(self, job: Job) -> None:
        """Queue a mail; `feed` hands it out."""
        self._wanted = self._size
        self._waiting.append(job)

    def feed(self) -> None:
        """Give what waits to the first worker that has room, and see that there are workers."""
        for worker in self._workers:
            room = self._at_once - worker.owing if worker.usable else 0
            jobs: list[Job] = []
            while self._waiting and len(jobs) < room:
                if not (job := self._waiting.popleft()).result.done():
                    jobs.append(job)
            if jobs:
                worker.give(jobs)
        self._staff()

    def tick(self) -> None:
        """Look at the workers once."""
        for worker in [worker for worker in self._workers if worker.owing]:
            worker.silent += 1
            if (worker.silent + 1) * TICK >= self._limits.deadline:
                self._end(worker)
            elif worker.silent >= _STALL_TICKS and not worker.stalled:
                worker.stalled = True
                self._put_back(worker.release(current=False))
        self.feed()

    async def close(self) -> list[Job]:
        """End all workers. Returns the mails that nobody will render."""
        self._closing = True
        if self._resting is not None:
            self._resting.cancel()
        left = [*self._waiting, *(job for worker in self._workers for job in worker.release(current=True))]
        self._waiting.clear()
        await asyncio.gather(*self._tasks)
        await asyncio.gather(*(worker.process.close() for worker in self._workers))
        return left

    def _put_back(self, jobs: Iterable[Job]) -> None:
        self._waiting.extendleft(reversed(list(jobs)))

    def _end(self, worker: Worker) -> None:
        """Kill a worker for the mail that it is at; the others of its mails go back."""
        culprit = worker.current
        self._put_back(job for job in worker.release(current=True) if job is not culprit)
        worker.process.kill()
        self._dismiss(worker)
        log.warning("a render worker was silent for %s s and has been killed", self._limits.deadline)
        if culprit is not None:
            self._judge.overdue(culprit)

    def _changed(self, worker: Worker, answered: list[tuple[Job, Reply]]) -> None:
        """Called by the worker: it is ready, has answered, or is gone."""
        for job, reply in answered:
            self._judge.answered(job, reply)
        if worker not in self._workers:
            return
        if worker.gone:
            self._workers.remove(worker)
            self._put_back(worker.release(current=False))
            if not worker.ready:
                self._rest()
            if (at := worker.current) is not None:
                log.warning("a render worker ended while it was at a mail")
                self._judge.died(at)
        elif worker.ready and not worker.owing and (worker.worn or len(self._workers) > self._wanted):
            self._dismiss(worker)
        self.feed()

    def _staff(self) -> None:
        """Start the workers that are missing, or one more when all are held up and somebody waits."""
        if self._closing or self._resting is not None:
            return
        while len(self._workers) < self._wanted:
            self._add()
        held_up = all(worker.stalled for worker in self._workers)
        if self._waiting and held_up and len(self._workers) < self._wanted + _EXTRA:
            self._add()

    def _rest(self) -> None:
        """After a worker that could not start: wait before another one is tried."""

        def resume() -> None:
            self._resting = None
            self._staff()

        if self._resting is None and not self._closing:
            self._resting = asyncio.get_running_loop().call_later(_RESTART_AFTER, resume)

    def _dismiss(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._spawn(worker.process.close())

    def _add(self) -> Worker:
        worker = Worker(self._changed)
        self._workers.append(worker)
        self._spawn(worker.start(self._limits))
        return worker

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
