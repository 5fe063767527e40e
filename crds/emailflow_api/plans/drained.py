"""What nobody needs any more: deleted flows without journeys, earlier revisions without, and their programs.

Reports decide, and only those that are about the plan in force: whoever has not read it yet may still let
people in. Pure.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from emailflow_api.plans import FlowPlan, Plans, content_hash
from emailflow_api.reports import FlowReport, added


def without_drained(plans: Plans, reports: Mapping[str, Mapping[int, FlowReport]]) -> Plans:
    """The plans without what has drained. `reports`: flow id -> shard -> report."""
    flows: dict[str, FlowPlan] = {}
    for name, flow in plans.flows.items():
        running = _running(flow, reports.get(flow.id, {}), plans.runtime.shards)
        if running is None:
            flows[name] = flow
        elif running or not flow.deleted:
            earlier = tuple(revision for revision in flow.earlier if revision in running)
            flows[name] = flow if earlier == flow.earlier else replace(flow, earlier=earlier)
    needed = {revision for flow in flows.values() for revision in (flow.revision, *flow.earlier)}
    programs = {revision: program for revision, program in plans.programs.items() if revision in needed}
    return replace(plans, flows=flows, programs=programs)


def _running(flow: FlowPlan, reports: Mapping[int, FlowReport], shards: int) -> dict[str, int] | None:
    """Journeys by revision; None until every shard has spoken about this very plan."""
    plan = content_hash(flow)
    spoken = [reports[shard] for shard in range(shards) if shard in reports and reports[shard].plan == plan]
    if len(spoken) < shards:
        return None
    return {revision: count for revision, count in added(each.journeys for each in spoken).items() if count}
