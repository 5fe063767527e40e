"""Draining a spool: events that were acknowledged go to the door, in order, until it has them.

What the door refuses for good is set aside with its reason, since nobody waits for an answer any more. All
else is tried again for ever: a door that is away, a token that isn't let in, a sink that is none.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from emailflow_runtime.app.forwarding import MAX_BYTES, MAX_ITEMS, Outcome, Sink
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import EmailFlowError, InvalidEvent, Unavailable

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 15.0
HURRIED_PAUSE = 0.5
"""Longest pause once the process is asked to end."""

log = logging.getLogger(__name__)


class Spooled(NamedTuple):
    """One event of a spool, and its place there."""

    sequence: int
    event: CloudEvent


class Journal(Protocol):
    """A spool, read from its beginning."""

    async def next_batch(self, *, max_items: int, max_bytes: int) -> list[Spooled]:
        """The oldest events, as soon as there are any; the same ones again until they are done."""

    async def done(self, sequence: int) -> None:
        """Everything up to here is done with."""

    async def set_aside(self, event: CloudEvent, reason: str) -> None:
        """Keep an event that was refused, where people find it."""


class Drain:
    """Brings a spool's events to the door."""

    def __init__(self, journal: Journal, sink: Sink) -> None:
        self._journal = journal
        self._sink = sink
        self._hurry = asyncio.Event()
        self.refused = 0
        """Events that were set aside since the start."""

    def hurry(self) -> None:
        """The process is asked to end: don't wait long between tries any more."""
        self._hurry.set()

    async def run(self) -> None:
        """Drain, until cancelled."""
        while True:
            batch = await self._journal.next_batch(max_items=MAX_ITEMS, max_bytes=MAX_BYTES)
            await self._deliver(batch)

    async def _deliver(self, batch: Sequence[Spooled]) -> None:
        pause = FIRST_PAUSE
        open_ = list(batch)
        while open_:
            outcomes = await self._outcomes(open_)
            left = [each for each, outcome in zip(open_, outcomes, strict=True) if not _is_final(outcome)]
            for each, outcome in zip(open_, outcomes, strict=True):
                if isinstance(outcome, InvalidEvent):
                    await self._set_aside(each.event, outcome)
            done_to = left[0].sequence - 1 if left else batch[-1].sequence
            if done_to >= open_[0].sequence:
                await self._journal.done(done_to)
                pause = FIRST_PAUSE
            if left:
                await self._pause(pause, [each for each in outcomes if not _is_final(each)])
                pause = min(pause * 2, LONGEST_PAUSE)
            open_ = left

    async def _outcomes(self, open_: Sequence[Spooled]) -> Sequence[Outcome]:
        try:
            return await self._sink.send([each.event for each in open_])
        except Exception:
            log.exception("draining failed")
            return [EmailFlowError("the event could not be forwarded")] * len(open_)

    async def _set_aside(self, event: CloudEvent, refusal: InvalidEvent) -> None:
        self.refused += 1
        # Ids and types are the producer's; data and messages may be about a person.
        log.error(
            "an event of type %s was refused after it had been accepted: %s",
            event.type,
            refusal.reason,
            extra={"reason": refusal.reason},
        )
        await self._journal.set_aside(event, refusal.reason)

    async def _pause(self, seconds: float, outcomes: Sequence[Outcome]) -> None:
        first = outcomes[0]
        log.warning("the spool waits: %s", first, extra={"reason": first.reason if first else ""})
        if isinstance(first, Unavailable):
            seconds = min(max(seconds, first.retry_after), LONGEST_PAUSE)
        if self._hurry.is_set():
            await asyncio.sleep(min(seconds, HURRIED_PAUSE))
            return
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return


def _is_final(outcome: Outcome) -> bool:
    return outcome is None or isinstance(outcome, InvalidEvent)
