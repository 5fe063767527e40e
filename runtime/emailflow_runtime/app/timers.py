"""Fired timers: each waits at its flow's barrier, then moves its journey on.

A timer is only the wake-up; the record's `wakeAt` is the truth. What was missed is found by the rescan
at take-over, after a reconnect and daily.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.flow_runner import FlowRunner
from emailflow_runtime.app.inhand import POISONED, OneByOne
from emailflow_runtime.app.stores import Delivered, DeliveredTimer, Feed
from emailflow_runtime.core.inputs import JourneyBroken, TimerFired

log = logging.getLogger(__name__)


class Timers:
    """Reads the shard's fired timers. `runners` are the flows that run here, by id."""

    def __init__(
        self,
        feed: Feed,
        desk: Desk,
        catalog: Catalog,
        runners: Mapping[str, FlowRunner],
        one_by_one: OneByOne,
    ) -> None:
        self._feed = feed
        self._desk = desk
        self._catalog = catalog
        self._runners = runners
        self._one_by_one = one_by_one
        self._suspect = 0
        """Up to here timers are taken one by one."""
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Read until cancelled. Flows don't wait for each other."""
        try:
            self._suspect = await self._one_by_one.limit(self._feed)
            await self._feed.take_over()
            while True:
                by_flow: dict[str, list[DeliveredTimer]] = defaultdict(list)
                for each in await self._feed.next_batch():
                    if isinstance(each, DeliveredTimer):
                        by_flow[each.address.flow].append(each)
                for flow, fired in by_flow.items():
                    task = asyncio.create_task(self._fire(flow, fired))
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
        finally:
            # They wait for what may never come once the shard is somebody else's.
            for task in self._working:
                task.cancel()

    async def _fire(self, flow: str, fired: Sequence[DeliveredTimer]) -> None:
        await self._catalog.until_released(flow)
        if (runner := self._runners.get(flow)) is not None:
            await runner.passed()
            await self._desk.load(flow, [each.address.contact for each in fired])
            for each in fired:
                if each.sequence <= self._suspect:
                    await self._wake_alone(each)
                else:
                    await self._wake(each)
        await self._acknowledge(fired)

    async def wake_at_barrier(self, fired: DeliveredTimer) -> None:
        """Like a timer that just fired, for one that never did."""
        flow = fired.address.flow
        await self._catalog.until_released(flow)
        if (runner := self._runners.get(flow)) is not None:
            await runner.passed()
            if self._one_by_one.again:
                await self._wake_alone(fired)
            else:
                await self._wake(fired)

    async def _wake_alone(self, fired: DeliveredTimer) -> None:
        address = fired.address
        async with self._one_by_one.holding(f"timer {address.tokens}") as poison:
            if poison:
                broken = JourneyBroken(
                    at=fired.at, journey=address.journey, reason="PoisonInput", message=POISONED
                )
                await self._desk.decide((address.flow, address.contact), broken)
            else:
                await self._wake(fired)

    async def _wake(self, fired: DeliveredTimer) -> None:
        """Move the journey on that this timer belongs to."""
        address = fired.address
        arrived = TimerFired(at=fired.at, journey=address.journey, number=address.number)
        try:
            await self._desk.decide((address.flow, address.contact), arrived)
        except Exception:  # one broken journey must not hold the others
            log.exception("timer failed", extra={"flow": address.flow, "journey": address.journey})

    async def _acknowledge(self, fired: Sequence[Delivered]) -> None:
        await self._desk.committed()
        self._feed.acknowledge(fired)
