"""The renderer that the runtime uses: workers side by side, and one apart for templates that broke a limit.

Decides whose fault a breach was and what follows for the mail and its template. How mails get to workers
is the lanes' matter.
"""

import asyncio
import itertools

from emailflow_api.plans import TemplatePlan
from emailflow_runtime.adapters.render_worker.frames import Reply, encoded_context
from emailflow_runtime.adapters.render_worker.lane import TICK, Lane
from emailflow_runtime.adapters.render_worker.names import TemplateNames
from emailflow_runtime.adapters.render_worker.quarantine import Quarantine
from emailflow_runtime.adapters.render_worker.worker import BREACHES, Job, Limits
from emailflow_runtime.app.ports import RenderRequest
from emailflow_runtime.errors import EmailFlowError, RenderError, Unavailable
from emailflow_runtime.rendering.errors import TemplateTimeout, error_of
from emailflow_runtime.rendering.rendered import Rendered

_AT_ONCE = 32
"""Mails that a worker has before it at most: enough to keep it busy, few enough to move elsewhere."""

MEMORY = 256 * 1024 * 1024
"""Bytes of address space a worker, the interpreter's own included."""


class RenderPool:
    """`Renderer` on worker processes. `start` first, `close` at the end."""

    def __init__(self, *, workers: int = 2, deadline: float = 1.0, memory: int = MEMORY) -> None:
        """`workers`: the first starts at once, the others with the first mail, so that one is there to
        take over. `deadline`: seconds that a mail may take. `memory`: bytes of address space a worker.
        """
        limits = Limits(memory, deadline)
        self._deadline = deadline
        self._open = Lane(size=workers, at_once=_AT_ONCE, limits=limits, judge=self)
        self._apart = Lane(size=1, at_once=1, limits=limits, judge=self)
        self._names = TemplateNames()
        self._quarantine = Quarantine()
        self._ids = itertools.count()
        self._ticking: asyncio.TimerHandle | None = None
        self._feeding: asyncio.Handle | None = None
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return [*self._open.pids, *self._apart.pids]

    async def start(self) -> None:
        """Return once a worker is ready. Raises Unavailable when none can be."""
        await self._open.open()

    async def close(self) -> None:
        """End all workers and return once they are gone; whoever still waits gets Unavailable."""
        self._closed = True
        for handle in (self._ticking, self._feeding):
            if handle is not None:
                handle.cancel()
        for job in [*await self._open.close(), *await self._apart.close()]:
            self._fail(job, Unavailable("the renderer is closing"))

    async def render(self, request: RenderRequest) -> Rendered:
        """See `Renderer`. Raises also Unavailable, once the renderer is closing."""
        if self._closed:
            raise Unavailable("the renderer is closed")
        template, loop = request.template, asyncio.get_running_loop()
        name = self._names.name(template)
        if self._quarantine.refuses(name, now=loop.time()):
            raise TemplateTimeout(f"{_of(template)}: not tried, since it broke its limits three times")
        try:
            context = encoded_context(request.context)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise RenderError(f"{_of(template)}: context: expected plain JSON values: {error}") from error
        job = Job(next(self._ids), template, name, request.locale, context, loop.create_future())
        self._put(job, apart=name in self._quarantine)
        return await job.result

    def answered(self, job: Job, reply: Reply) -> None:
        """A lane's: the mail is there, or the template has no result for it."""
        if reply.rendered is not None:
            self._quarantine.acquit(job.name)
            if not job.result.done():
                job.result.set_result(reply.rendered)
            return
        if reply.reason in BREACHES:
            self._convict(job)
        self._fail(job, error_of(reply.reason, reply.message))

    def overdue(self, job: Job) -> None:
        """A lane's: the mail took all of its time."""
        self._convict(job)
        self._fail(job, TemplateTimeout(f"{_of(job.template)}: took longer than {self._deadline:g} s"))

    def died(self, job: Job) -> None:
        """A lane's: the mail may have been the cause, or not. It gets one more try, alone."""
        if job.died:
            self._convict(job)
            self._fail(job, RenderError(f"{_of(job.template)}: the worker died of it, twice"))
        else:
            job.died = True
            self._put(job, apart=True)

    def _convict(self, job: Job) -> None:
        self._quarantine.convict(job.name, now=asyncio.get_running_loop().time())

    def _fail(self, job: Job, error: EmailFlowError) -> None:
        if not job.result.done():
            job.result.set_exception(error)

    def _put(self, job: Job, *, apart: bool) -> None:
        (self._apart if apart else self._open).put(job)
        loop = asyncio.get_running_loop()
        if self._feeding is None:
            self._feeding = loop.call_soon(self._feed)
        if self._ticking is None:
            self._ticking = loop.call_later(TICK, self._tick)

    def _feed(self) -> None:
        """Hand out what this turn of the event loop has brought, in one frame a worker."""
        self._feeding = None
        self._open.feed()
        self._apart.feed()

    def _tick(self) -> None:
        self._open.tick()
        self._apart.tick()
        busy = self._open.busy or self._apart.busy
        self._ticking = asyncio.get_running_loop().call_later(TICK, self._tick) if busy else None


def _of(template: TemplatePlan) -> str:
    return f"template {template.namespace}/{template.name}"
