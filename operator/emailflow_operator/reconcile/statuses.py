"""Statuses as they should be, and the smallest patch that makes them so. Writing the same again is no patch.

Counts move all the time: whoever calls says whether they are due. Times come in.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from emailflow_api.conditions import Verdict, revise
from emailflow_api.kinds.condition import Condition
from emailflow_api.plans import Plans
from emailflow_api.reports import FlowReport, added
from emailflow_operator.reconcile.children.labels import pod_selector
from emailflow_operator.reconcile.cluster import Object, conditions_in, name_of
from emailflow_operator.reconcile.verdicts import Standing, verdict_on

COUNTS = ("journeys", "revisions", "steps", "pendingEvents", "behindRetention")
MAX_LISTED = 100


def status_of(value: Object, standing: Standing, *, now: str, counts_due: bool) -> dict[str, Any]:
    """The whole status that the object should have. `now` is an RFC 3339 time."""
    before: Mapping[str, Any] = value.get("status") or {}
    verdict = verdict_on(value, standing)
    generation = value["metadata"].get("generation") or 0
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": _conditions(before, verdict, generation, now),
    }
    match value.get("kind"):
        case "EmailFlow":
            status |= _flow(value, standing, before, counts_due=counts_due)
        case "EmailRuntime":
            status |= _runtime(value, standing)
    return status


def patch_for(value: Object, status: Mapping[str, Any]) -> dict[str, Any] | None:
    """The merge patch (RFC 7386) that gives the object this status; None when it has it.

    The uid makes the API server refuse it for a namesake that was made in between.
    """
    before: Mapping[str, Any] = value.get("status") or {}
    changed: dict[str, Any] = {key: item for key, item in status.items() if before.get(key) != item}
    changed |= {key: None for key in before if key not in status}
    return {"metadata": {"uid": value["metadata"].get("uid")}, "status": changed} if changed else None


def counts_differ(value: Object, status: Mapping[str, Any]) -> bool:
    """Whether the status has other counts than the object shows."""
    before: Mapping[str, Any] = value.get("status") or {}
    return any(before.get(key) != status.get(key) for key in COUNTS)


def _conditions(
    before: Mapping[str, Any], verdict: Verdict, generation: int, now: str
) -> list[dict[str, Any]]:
    known = []
    for each in conditions_in(before):
        try:
            known.append(Condition.model_validate(each))
        except ValidationError:  # somebody else's, from before a schema: it is replaced
            continue
    revised = revise(known, verdict, generation=generation, now=now)
    return [each.model_dump(by_alias=True, exclude_none=True) for each in revised]


def _flow(
    value: Object, standing: Standing, before: Mapping[str, Any], *, counts_due: bool
) -> dict[str, Any]:
    namespace, name = name_of(value)
    plan = standing.plans.flows.get(f"{namespace}/{name}") if standing.plans else None
    if plan is None:
        return {}
    reports = standing.reports.get(plan.id, {})
    status: dict[str, Any] = {"revision": plan.revision}
    if counts_due or "journeys" not in before:
        fresh = _counts(plan.revision, reports)
    else:
        fresh = {key: before[key] for key in COUNTS if key in before}
    return {**status, **fresh}


def _counts(revision: str, reports: Mapping[int, FlowReport]) -> dict[str, Any]:
    if not reports:
        return {}
    by_revision = added(each.journeys for each in reports.values())
    by_step = added(each.steps for each in reports.values() if each.revision == revision)
    counts: dict[str, Any] = {
        "journeys": sum(by_revision.values()),
        "revisions": _listed("revision", by_revision),
        "steps": _listed("name", by_step),
        "pendingEvents": sum(each.pending for each in reports.values()),
        "behindRetention": sum(each.behind_retention for each in reports.values()),
    }
    return {key: value for key, value in counts.items() if value != []}


def _listed(key: str, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    found = [{key: name, "journeys": count} for name, count in sorted(counts.items()) if count]
    return found[:MAX_LISTED]


def _runtime(value: Object, standing: Standing) -> dict[str, Any]:
    pods = (standing.deployment or {}).get("status") or {}
    status: dict[str, Any] = {
        "replicas": pods.get("replicas") or 0,
        "readyReplicas": pods.get("readyReplicas") or 0,
        "selector": selector(name_of(value)[1]),
    }
    if standing.plans is not None:
        status["shards"] = standing.plans.runtime.shards
        status["flows"] = _served(standing.plans)
    return status


def _served(plans: Plans) -> int:
    return sum(not flow.deleted for flow in plans.flows.values())


def selector(runtime: str) -> str:
    """The label selector of a runtime's pods, as the scale subresource says it."""
    return ",".join(f"{key}={value}" for key, value in sorted(pod_selector(runtime).items()))
