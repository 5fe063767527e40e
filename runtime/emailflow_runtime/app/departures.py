"""Whoever is in a flow that is to be left (`FlowPlan.leave`) leaves it, and nothing more is sent to them.

That a flow is to be left is decided where resources are seen. Nothing else ends a journey here.
"""

import asyncio
from collections.abc import Mapping, Sequence

from emailflow_api.plans import FlowPlan
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import RecordHead, StateStore
from emailflow_runtime.core.inputs import FlowGone

AT_ONCE = 500
"""Records that are read together."""


class Departures:
    """One for each shard."""

    def __init__(self, store: StateStore, desk: Desk, catalog: Catalog, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._catalog = catalog
        self._clock = clock
        self._left: dict[str, FlowPlan] = {}

    async def run(self) -> None:
        """Empty what is to be left, until cancelled. Raises EmailFlowError; then start it again."""
        while True:
            plans = self._catalog.plans
            if leaving := self._leaving():
                await self._empty(leaving)
            await self._catalog.differ_from(plans)

    def _leaving(self) -> dict[str, FlowPlan]:
        """The flows that somebody may still be in. One that is not usable comes again with its program."""
        flows = self._catalog.flows()
        self._left = {flow: plan for flow, plan in self._left.items() if flow in flows}
        return {
            flow: plan
            for flow, plan in flows.items()
            if plan.leave and self._left.get(flow) != plan and self._catalog.flow(flow) is not None
        }

    async def _empty(self, leaving: Mapping[str, FlowPlan]) -> None:
        # Whoever was let in a moment ago is found only on disk.
        await self._desk.committed()
        heads = [head async for head in self._store.scan() if head.flow in leaving and head.revision]
        for start in range(0, len(heads), AT_ONCE):
            await self._desk.room()
            some = heads[start : start + AT_ONCE]
            await self._desk.recall([(head.flow, head.contact) for head in some])
            await self._end(some)
        self._left.update(leaving)

    async def _end(self, heads: Sequence[RecordHead]) -> None:
        """End these journeys, unless their flow is there again."""
        for head in heads:
            there = self._catalog.flows().get(head.flow)
            if there is None or not there.leave:
                continue
            key = head.flow, head.contact
            journey = (await self._desk.entry(key)).enrolment.journeys.get(head.instance)
            if journey is not None and journey.running:
                await self._desk.decide(key, FlowGone(self._clock.now(), journey.id))
            # Nothing of this waits for anything, and others have turns to take.
            await asyncio.sleep(0)
