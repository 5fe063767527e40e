"""The census of one shard: how many journeys each flow has, by revision and by step.

Counted in memory: from the scan at take-over, then by each change of a record. Only the one writer changes
records, so the counts are right as long as the shard is owned. It decides nothing.
"""

from collections import Counter

from emailflow_api.plans import FlowPlan
from emailflow_runtime.app.stores import RecordHead
from emailflow_runtime.core.journey import Journey

Stage = tuple[str, str]
"""Revision and step."""


class Census:
    """Counts what is not finished."""

    def __init__(self) -> None:
        self._flows: dict[str, Counter[Stage]] = {}
        self._held: dict[str, Counter[str]] = {}
        """By flow and reason, the mails that wait for something that is not there."""

    def found(self, head: RecordHead) -> None:
        """A record that the scan has found."""
        if head.revision:
            self._add(head.flow, (head.revision, head.step), 1)
        if head.held:
            self._hold(head.flow, head.held, 1)

    def moved(self, before: Journey | None, after: Journey) -> None:
        """A journey has changed; `before` is None for a new one."""
        was, held = _held(before), _held(after)
        if was != held:
            self._hold(after.flow, was, -1)
            self._hold(after.flow, held, 1)
        if before is not None and not before.finished:
            if not after.finished and (before.revision, before.step) == (after.revision, after.step):
                return
            self._add(before.flow, (before.revision, before.step), -1)
        if not after.finished:
            self._add(after.flow, (after.revision, after.step), 1)

    def _add(self, flow: str, stage: Stage, count: int) -> None:
        stages = self._flows.get(flow)
        if stages is None:
            stages = self._flows[flow] = Counter()
        stages[stage] += count
        if not stages[stage]:
            del stages[stage]
            if not stages:
                # A flow that is gone leaves nothing here.
                del self._flows[flow]

    def _hold(self, flow: str, reason: str, count: int) -> None:
        if reason:
            held = self._held.setdefault(flow, Counter())
            held[reason] += count
            if not held[reason]:
                del held[reason]
                if not held:
                    del self._held[flow]

    def held(self, flow: str) -> dict[str, int]:
        """Mails of a flow (id) that wait for something that is not there, by reason, without zeros."""
        return dict(self._held.get(flow, {}))

    def holding(self) -> dict[tuple[str, str], int]:
        """The same of all flows, by flow and reason."""
        return {(flow, reason): count for flow, held in self._held.items() for reason, count in held.items()}

    def journeys(self, flow: str) -> dict[str, int]:
        """Journeys of a flow (id) by revision, without zeros."""
        counts: Counter[str] = Counter()
        for (revision, _), count in self._flows.get(flow, {}).items():
            counts[revision] += count
        return dict(counts)

    def revisions(self) -> set[str]:
        """The revisions that somebody is on, of all flows."""
        return {revision for stages in self._flows.values() for revision, _ in stages}

    def steps(self, flow: FlowPlan) -> dict[str, int]:
        """Journeys of the flow's current revision by step, without zeros."""
        stages: Counter[Stage] = self._flows.get(flow.id, Counter())
        return {step: count for (revision, step), count in stages.items() if revision == flow.revision}


def _held(journey: Journey | None) -> str:
    return journey.mail.held if journey is not None and journey.mail is not None else ""
