"""What the owner of a shard says of each flow in REPORTS: the plan it works by, and how many are where.

A plan is acknowledged as soon as it is in force; counts follow every few seconds, and only what has changed
is written. Nobody's decision waits for a report.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from emailflow_api.plans import FlowPlan, content_hash
from emailflow_api.reports import FlowReport
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.census import Census

SETTLE = 0.3
"""Seconds from a new plan to its acknowledgement: what was being decided by the old one is counted then."""
LINGER = 5.0
"""The same for a flow's deletion, upon which it is removed for good if nobody is in it."""
COUNT_EVERY = 5.0
LOOK_EVERY = 3
"""Counts between two looks at what consumers have still to read."""

log = logging.getLogger(__name__)


class Reports(Protocol):
    """REPORTS, and what of JetStream goes into them. All raise Unavailable."""

    async def read(self, shard: int) -> Mapping[str, FlowReport]:
        """What was written for this shard: flow id -> report."""

    async def write(self, shard: int, reports: Mapping[str, FlowReport | None]) -> None:
        """Write these (None: remove it) over what was read or written last, and over nothing else; return
        when they are on disk."""

    async def pending(self, shard: int) -> Mapping[str, int]:
        """How many events each flow (id) has still to look at; zeros may be left out."""


class Reporter:
    """Reports on one shard until cancelled."""

    def __init__(
        self,
        shard: int,
        catalog: Catalog,
        census: Census,
        reports: Reports,
        *,
        epoch: int,
        committed: Callable[[], Awaitable[object]],
        lost: Mapping[str, int] | None = None,
    ) -> None:
        """`epoch` names the shard's owner. `committed` returns when what has been decided is on disk, by the
        owner. `lost`: events, by flow, that were purged unread since this process began."""
        self._epoch = epoch
        self._committed = committed
        self._lost = lost if lost is not None else {}
        self._lost_before: dict[str, int] = {}
        self._shard = shard
        self._catalog = catalog
        self._census = census
        self._reports = reports
        self._written: dict[str, FlowReport] = {}
        self._pending: Mapping[str, int] = {}
        self._hashes: dict[str, tuple[FlowPlan, str]] = {}
        self._since: dict[str, float] = {}
        self._doubted: set[str] = set()
        """Flows whose last report was not answered: it may come yet, unless another one comes before it."""

    async def run(self) -> None:
        """Acknowledge plans at once, count every few seconds. Raises EmailFlowError; then start it again."""
        self._written = dict(await self._reports.read(self._shard))
        for flow, report in self._written.items():
            self._lost_before[flow] = max(0, report.behind_retention - self._lost.get(flow, 0))
        clock = asyncio.get_running_loop().time
        seen = self._catalog.plans
        await self._count(look=True)
        rounds, next_count = 0, clock() + COUNT_EVERY
        while True:
            try:
                async with asyncio.timeout_at(next_count):
                    await self._catalog.differ_from(seen)
            except TimeoutError:
                rounds, next_count = rounds + 1, clock() + COUNT_EVERY
                await self._count(look=rounds % LOOK_EVERY == 0)
            else:
                seen = self._catalog.plans
                await asyncio.sleep(SETTLE)
                await self._write(self._unacknowledged())

    async def _count(self, *, look: bool) -> None:
        if look:
            self._pending = await self._reports.pending(self._shard)
        await self._write(set(self._catalog.flows()))

    def _unacknowledged(self) -> set[str]:
        """The flows whose report names another plan than the one in force."""
        flows = self._catalog.flows()
        return {
            flow
            for flow, plan in flows.items()
            if flow not in self._written or self._written[flow].plan != self._hash(plan)
        }

    async def _write(self, flows: set[str]) -> None:
        """Write the reports of these flows as far as they say something new; remove those of no flow."""
        changes: dict[str, FlowReport | None] = {}
        for flow in flows:
            report = self._report(flow)
            if report is not None and (self._written.get(flow) != report or flow in self._doubted):
                changes[flow] = report
        gone = (self._written.keys() | self._doubted) - self._catalog.flows().keys()
        changes.update(dict.fromkeys(gone))
        if not changes:
            return
        # What is counted must not be taken back: programs go by what is reported.
        await self._committed()
        self._doubted |= changes.keys()
        await self._reports.write(self._shard, changes)
        self._doubted -= changes.keys()
        for flow, report in changes.items():
            if report is None:
                self._written.pop(flow, None)
                self._hashes.pop(flow, None)
                self._since.pop(flow, None)
            else:
                self._written[flow] = report

    def _report(self, flow: str) -> FlowReport | None:
        """The flow as it is now; None while its plan is not to be acknowledged."""
        plan = self._catalog.flows()[flow]
        if not plan.deleted and not self._catalog.may_be_used(flow):
            # A program is not there, or can't be used: nobody works by this plan.
            return None
        if plan.deleted and not self._has_lingered(flow):
            return None
        return FlowReport(
            plan=self._hash(plan),
            revision=plan.revision,
            journeys=self._census.journeys(flow),
            steps=self._census.steps(plan),
            pending=self._pending.get(flow, 0),
            behind_retention=self._lost_before.get(flow, 0) + self._lost.get(flow, 0),
            epoch=self._epoch,
            held=self._census.held(flow),
        )

    def _has_lingered(self, flow: str) -> bool:
        now = asyncio.get_running_loop().time()
        return now - self._since.setdefault(flow, now) >= LINGER

    def _hash(self, plan: FlowPlan) -> str:
        known = self._hashes.get(plan.id)
        if known is None or known[0] is not plan:
            known = self._hashes[plan.id] = (plan, content_hash(plan))
            self._since.pop(plan.id, None)
        return known[1]
