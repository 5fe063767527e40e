"""What stays in force when resources change: the last good version of what is broken now, and flows that
are gone but whose journeys still run. Pure.
"""

from collections.abc import Collection
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from emailflow_api.plans import FlowPlan, Plans

MAX_EARLIER = 20
"""Revisions of a flow that are kept in force; a journey on an older one goes on with the current one."""

_Plan = TypeVar("_Plan", bound=msgspec.Struct)


def carry_over(before: Plans | None, now: Plans, broken: Collection[str]) -> Plans:
    """The plans to run: `now`, completed by what `before` had of the `broken` objects
    (`Kind/namespace/name`). A flow that is neither there nor broken is marked deleted: it drains."""
    if before is None:
        return now
    flows = _kept("EmailFlow", before.flows, now.flows, broken)
    carried = {"templates": _kept("EmailTemplate", before.templates, now.templates, broken)}
    namespace = now.runtime.namespace
    for kind, field in (("EmailProvider", "providers"), ("ContactPolicy", "policies")):
        names = {name.rpartition("/")[2] for name in broken if name.startswith(f"{kind}/{namespace}/")}
        known, current = getattr(before, field), getattr(now, field)
        carried[field] = {**{name: known[name] for name in names if name in known}, **current}
    current = {name: _revised(before.flows.get(name), flow) for name, flow in flows.items()}
    gone = {name: replace(flow, deleted=True) for name, flow in before.flows.items() if name not in current}
    programs = {**before.programs, **now.programs}
    return replace(now, flows={**gone, **current}, programs=programs, **carried)


def _revised(before: FlowPlan | None, now: FlowPlan) -> FlowPlan:
    """The flow, knowing the revisions that journeys may still be on."""
    if before is None:
        return now
    earlier = (before.revision, *before.earlier, *now.earlier)
    kept = dict.fromkeys(revision for revision in earlier if revision != now.revision)
    return replace(now, earlier=tuple(kept)[:MAX_EARLIER])


def _kept(
    kind: str, before: dict[str, _Plan], now: dict[str, _Plan], broken: Collection[str]
) -> dict[str, _Plan]:
    kept = {name: plan for name, plan in before.items() if f"{kind}/{name}" in broken}
    return {**kept, **now}
