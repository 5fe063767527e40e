"""Forwarding events to a receiver: what the sidecar does with an event that it doesn't keep itself.

An event is accepted when the receiver has accepted it, and not before. It is sent again as long as its
producer waits, which is safe: the receiver knows a repeat by source and id. Events that wait go together in
one request.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import EmailFlowError, Overloaded, Unavailable

BUDGET = 5.0
"""Seconds that a producer is kept waiting; its own time-out should be longer."""
LANES = 4
"""Requests to the receiver at once."""
MAX_ITEMS = 100
MAX_BYTES = 96 * 1024
"""Of data in one request, unless a single event is larger: data in base64 and attributes included, it stays
below what receivers take (256 KiB by default)."""
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0

log = logging.getLogger(__name__)

Outcome = EmailFlowError | None
"""None: accepted. Unavailable: may be sent again. Anything else: refused, with the receiver's own reason."""


class Sink(Protocol):
    """A receiver somewhere else."""

    async def send(self, events: Sequence[CloudEvent]) -> list[Outcome]:
        """Send events once, in order, and give each an outcome. Never raises for what a receiver does."""


class _Waiting(NamedTuple):
    event: CloudEvent
    accepted: asyncio.Future[None]


class Forwarder:
    """The port Ingest over a Sink. `run` has to be running."""

    def __init__(self, sink: Sink, *, budget: float = BUDGET) -> None:
        self._sink = sink
        self._budget = budget
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._trouble = Unavailable("the receiver has not answered in time", retry_after=2)

    async def accept(self, event: CloudEvent) -> None:
        """See Ingest. Raises what the receiver says, Unavailable when it is out of reach for the budget."""
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(event, accepted))
        self._wake.set()
        try:
            async with asyncio.timeout(self._budget):
                await accepted
        except TimeoutError:
            raise self._trouble from None

    async def run(self) -> None:
        """Send what is waiting, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(self._lane())

    async def _lane(self) -> None:
        while True:
            await self._wake.wait()
            group = self._take()
            if not self._waiting:
                self._wake.clear()
            await self._deliver(group)

    def _take(self) -> list[_Waiting]:
        """What goes into the next request."""
        group: list[_Waiting] = []
        size = 0
        while self._waiting and len(group) < MAX_ITEMS:
            size += len(self._waiting[0].event.data or b"")
            if group and size > MAX_BYTES:
                break
            group.append(self._waiting.popleft())
        return group

    async def _deliver(self, group: list[_Waiting]) -> None:
        """Send until each is answered, or nobody waits for it any more."""
        pause = FIRST_PAUSE
        while group := [each for each in group if not each.accepted.done()]:
            for each, outcome in zip(group, await self._outcomes(group), strict=True):
                self._settle(each.accepted, outcome)
            if not all(each.accepted.done() for each in group):
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _outcomes(self, group: Sequence[_Waiting]) -> Sequence[Outcome]:
        try:
            return await self._sink.send([each.event for each in group])
        except Exception:
            log.exception("forwarding failed")
            return [Unavailable("the event could not be forwarded")] * len(group)

    def _settle(self, accepted: asyncio.Future[None], outcome: Outcome) -> None:
        """Answer, unless it is worth another try. `Overloaded` is the producer's to know: it sends less."""
        if isinstance(outcome, Unavailable) and not isinstance(outcome, Overloaded):
            self._trouble = outcome
        elif accepted.done():
            return
        elif outcome is None:
            accepted.set_result(None)
        else:
            accepted.set_exception(outcome)
