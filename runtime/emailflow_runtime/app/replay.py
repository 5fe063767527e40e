"""Reading a stretch of EVENTS to one flow again, in its order and with its times.

Nobody gets a mail twice: who entered by an event is remembered for `retention.dedupe`, and nothing older is
read. It decides nothing itself; an event that changes nothing now is passed by.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Protocol

from emailflow_runtime.app.stores import DeliveredEvent
from emailflow_runtime.core.inputs import EventArrived
from emailflow_runtime.core.publication import MAX_HOPS, hops
from emailflow_runtime.core.replays import Replay
from emailflow_runtime.errors import EmailFlowError

log = logging.getLogger(__name__)

Decide = Callable[[str, EventArrived], Awaitable[object]]
"""Decides on an event about a contact."""


class History(Protocol):
    """EVENTS, read by anybody at any place."""

    def pages(self, shard: int, first: int, last: int) -> AsyncIterator[Sequence[DeliveredEvent]]:
        """The events of a shard between two sequences, both included, in order, some at a time."""


class ReplayRefused(EmailFlowError):
    """This stretch can't be read again without mailing somebody twice, or is not there any more."""

    reason = "ReplayRefused"


class _Forgotten:
    """A History of nothing, for who never replays."""

    async def pages(
        self,
        shard: int,  # noqa: ARG002 - the port's
        first: int,  # noqa: ARG002
        last: int,  # noqa: ARG002
    ) -> AsyncIterator[Sequence[DeliveredEvent]]:
        """See History."""
        nothing: Sequence[Sequence[DeliveredEvent]] = ()
        for page in nothing:
            yield page


FORGOTTEN = _Forgotten()


def replayed(
    replay: Replay, found: DeliveredEvent, types: Collection[str], oldest: int
) -> EventArrived | None:
    """What an event of the stretch, or after it, is to the flow now; None: nothing.

    `oldest` is the moment (nanoseconds since 1970 UTC) before which nothing is remembered.
    """
    passes = found.event.type in types and found.contact and found.redrive is None
    if not passes or hops(found.event) > MAX_HOPS or found.at < oldest:
        return None
    entering = found.sequence <= replay.last
    return EventArrived(found.at, found.event, found.sequence, replayed=True, entering=entering)


class Replayer:
    """For one shard."""

    def __init__(self, history: History, shard: int) -> None:
        self._history = history
        self._shard = shard

    async def replay(
        self,
        replay: Replay,
        *,
        end: int,
        oldest: int,
        types: Collection[str],
        load: Callable[[Sequence[str]], Awaitable[None]],
        decide: Decide,
        settle: Callable[[], Awaitable[object]],
    ) -> None:
        """Decide on everything from `replay.first` to `end` again. Raises Unavailable: then again, all of it.

        `load` brings contacts into memory, `settle` returns when what was decided is on disk.
        """
        read = failed = 0
        async for page in self._history.pages(self._shard, replay.first, end):
            arrived = [(each.contact, replayed(replay, each, types, oldest)) for each in page]
            wanted = [(contact, event) for contact, event in arrived if event is not None]
            await load([contact for contact, _ in wanted])
            for contact, event in wanted:
                read += 1
                try:
                    await decide(contact, event)
                except Exception:
                    failed += 1
                    log.exception("an event can't be replayed", extra={"flow": replay.flow})
            # So that memory stays bounded however long the stretch is.
            await settle()
        log.info("replayed", extra={"flow": replay.flow, "events": read, "failed": failed})
