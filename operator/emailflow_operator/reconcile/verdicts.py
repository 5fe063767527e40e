"""What each object's conditions are to say, from findings, plans, reports, pods and NATS. Pure.

`Ready`, `Reconciling` and `Stalled` are for every kind; a runtime also says `Durable`, `ReceiverClosed` and
`StorageAvailable`, and a flow that has missed events `BehindRetention`. When they are written is `statuses`
and `control`.
"""

from collections.abc import Mapping, Sequence

import msgspec

from emailflow_api.conditions import Statement, Verdict, ready, reconciling, stalled, waiting
from emailflow_api.errors import Finding
from emailflow_api.plans import FlowPlan, Plans, content_hash
from emailflow_api.plans.carried import named_by
from emailflow_api.plans.permissions import refusal
from emailflow_api.reports import FlowReport, added
from emailflow_operator.reconcile import reasons
from emailflow_operator.reconcile.children.settings import Issuer
from emailflow_operator.reconcile.cluster import Object, condition_of, name_of, subject_of
from emailflow_operator.reconcile.desired import Compiled, ProviderReports, Reports
from emailflow_operator.reconcile.durability import DURABLE
from emailflow_operator.reconcile.receiving import receiver_closed

BEHIND_RETENTION = "BehindRetention"
_SHOWN = 5
"""Findings that a message names."""


class Trouble(msgspec.Struct, frozen=True):
    """Why a pass did not get to its end. `unknown`: nobody can tell how things stand."""

    reason: str
    message: str
    unknown: bool = False


class Standing(msgspec.Struct, frozen=True):
    """What verdicts are made from. `exists`: there is an EmailRuntime of that name."""

    compiled: Compiled
    plans: Plans | None
    reports: Reports
    deployment: Object | None
    providers: ProviderReports = {}
    exists: bool = True
    trouble: Trouble | None = None
    durable: Statement | None = None
    """What NATS said of itself; None: it was not asked yet."""
    issuer: Issuer = Issuer()
    """Of the cluster's ServiceAccount tokens."""
    storage: Statement | None = None
    """What NATS said of the room for streams; None where it keeps none for this runtime alone."""


def verdict_on(value: Object, standing: Standing) -> Verdict:
    """The conditions of an object whose status this runtime's worker writes."""
    return (*_readiness(value, standing), *_beside(value, standing))


def _beside(value: Object, standing: Standing) -> Verdict:
    """What is said beside Ready."""
    match value.get("kind"):
        case "EmailRuntime":
            said = (_durable(standing), receiver_closed(value, standing.issuer))
            return (*said, *((standing.storage,) if standing.storage else ()))
        case "EmailFlow" if _is_behind(value, standing):
            message = "Events were purged before the flow had looked at them: see status.behindRetention"
            return (Statement(BEHIND_RETENTION, "True", reasons.BEHIND_RETENTION, message),)
    return ()


def _durable(standing: Standing) -> Statement:
    trouble = standing.trouble
    if trouble is not None and trouble.reason == reasons.NOT_DURABLE:
        return Statement(DURABLE, "False", trouble.reason, trouble.message)
    if standing.durable is not None:
        return standing.durable
    return Statement(DURABLE, "Unknown", reasons.PROGRESSING, "NATS was not asked yet")


def _is_behind(value: Object, standing: Standing) -> bool:
    reports = standing.reports.get("_".join(name_of(value)))
    if reports:
        return any(each.behind_retention for each in reports.values())
    # Nothing is known any more, or not yet: what the object says stands.
    return condition_of(value.get("status"), BEHIND_RETENTION).get("status") == "True"


def _readiness(value: Object, standing: Standing) -> Verdict:
    errors = standing.compiled.errors(subject_of(value))
    if errors:
        return _with_errors(errors, kept=_kept(value, standing), refused=_refused(value, standing))
    match value.get("kind"):
        case "EmailFlow":
            return _flow(value, standing)
        case "EmailRuntime":
            return _runtime(value, standing)
        case "EmailTemplate":
            return ready(reasons.SUCCEEDED, _noted("The template compiles", value, standing))
    if not standing.exists:
        namespace = name_of(value)[0]
        return waiting(reasons.RUNTIME_NOT_FOUND, f"There is no EmailRuntime in the namespace {namespace}")
    if value.get("kind") == "EmailProvider":
        return _provider(value, standing)
    return ready(reasons.SUCCEEDED, _noted("In force", value, standing))


def _with_errors(errors: Sequence[Finding], *, kept: bool, refused: bool) -> Verdict:
    own = [each for each in errors if each.reason not in reasons.WAITING]
    first = (own or errors)[0]
    message = "; ".join(_said(each) for each in errors[:_SHOWN])
    if len(errors) > _SHOWN:
        message += f"; and {len(errors) - _SHOWN} more"
    if refused:
        message += ". What is in force is not permitted any more: it is held"
    elif kept:
        message += ". The last good version stays in force"
        if any(each.reason in reasons.HOLDING for each in errors):
            message += ", and mails wait until it is there"
    return stalled(first.reason, message) if own else waiting(first.reason, message)


def _said(finding: Finding) -> str:
    where = f"{finding.path}: " if finding.path else ""
    expected = f" (expected {finding.expected})" if finding.expected else ""
    return f"{where}{finding.message}{expected}"


def _kept(value: Object, standing: Standing) -> bool:
    """Whether an earlier version of a broken object goes on."""
    plans, (namespace, name) = standing.plans, name_of(value)
    if plans is None:
        return False
    match value.get("kind"):
        case "EmailFlow":
            flow = plans.flows.get(f"{namespace}/{name}")
            return flow is not None and not flow.deleted
        case "EmailTemplate":
            return f"{namespace}/{name}" in plans.templates
        case "EmailProvider":
            return name in plans.providers
        case "ContactPolicy":
            return name in plans.policies
        case "EventType":
            return any(each.name == name for each in plans.event_types.values())
    return False


def _refused(value: Object, standing: Standing) -> bool:
    """Whether the version of a flow that the plans have is held, since it may not do what it says."""
    if standing.plans is None or value.get("kind") != "EmailFlow":
        return False
    flow = standing.plans.flows.get("/".join(name_of(value)))
    return flow is not None and bool(refusal(standing.plans, flow))


def _noted(message: str, value: Object, standing: Standing) -> str:
    """The message, with the object's warnings."""
    warnings = standing.compiled.warnings(subject_of(value))[:_SHOWN]
    return ". Warning: ".join((message, *(_said(each) for each in warnings)))


# --- flows ----------------------------------------------------------------------------------------------


def _flow(value: Object, standing: Standing) -> Verdict:
    if standing.trouble is not None:
        return _troubled(standing.trouble)
    namespace, name = name_of(value)
    plan = standing.plans.flows.get(f"{namespace}/{name}") if standing.plans else None
    if plan is None or standing.plans is None:
        return reconciling(reasons.PROGRESSING, "The plan is not written yet")
    shards = standing.plans.runtime.shards
    missing = unacknowledged(value, plan, standing.reports.get(plan.id, {}), shards)
    if missing:
        told = f"shard {missing[0]}" if shards > 1 else "the runtime"
        return reconciling(reasons.PROGRESSING, f"Waiting for {told} to take over revision {plan.revision}")
    if plan.suspend or standing.plans.runtime.suspend:
        return ready(
            reasons.SUSPENDED, "Entries, timers and mails are held: the flow or its runtime is suspended"
        )
    if (carried := _carried(plan, standing.plans, standing.compiled.plans)) is not None:
        return carried
    if held := added(each.held for each in standing.reports.get(plan.id, {}).values()):
        return waiting(min(held), f"Mails are held: {', '.join(sorted(held))}")
    return ready(reasons.SUCCEEDED, _noted(f"Revision {plan.revision} is served", value, standing))


def _carried(plan: FlowPlan, there: Plans, now: Plans) -> Verdict | None:
    """What a flow says that goes by the last version of something that is not there (any more)."""
    named = named_by([plan], there.programs)
    for reason, kind, names, in_force, declared in (
        ("EventTypeNotFound", "EventType for", named.types, there.event_types, now.event_types),
        ("TemplateNotFound", "EmailTemplate", named.templates, there.templates, now.templates),
        ("ConfigMapNotFound", "ConfigMap with", named.files, there.files, now.files),
    ):
        if gone := sorted(name for name in names if name in in_force and name not in declared):
            return waiting(
                reason, f"There is no usable {kind} {gone[0]}. The last good version stays in force"
            )
    return None


def unacknowledged(
    value: Object, plan: FlowPlan, reports: Mapping[int, FlowReport], shards: int
) -> list[int]:
    """Shards whose owner does not work by the plan yet.

    Once Ready, a flow stays so while its object is the same: a revision whose last journey ended changes
    the plan, but nothing that anybody waits for.
    """
    digest = content_hash(plan)
    settled = _is_ready(value)

    def served(shard: int) -> bool:
        report = reports.get(shard)
        return report is not None and (
            report.plan == digest or (settled and report.revision == plan.revision)
        )

    return [shard for shard in range(shards) if not served(shard)]


def _is_ready(value: Object) -> bool:
    there = condition_of(value.get("status"), "Ready")
    generation = value["metadata"].get("generation")
    return there.get("status") == "True" and there.get("observedGeneration") == generation


# --- providers ------------------------------------------------------------------------------------------


def _provider(value: Object, standing: Standing) -> Verdict:
    """As the owner of shard 0 found it: the operator reads no Secret of a user and calls no server."""
    plan = standing.plans.providers.get(name_of(value)[1]) if standing.plans is not None else None
    if standing.trouble is not None and standing.trouble.unknown:
        return _troubled(standing.trouble)
    if plan is None:
        return reconciling(reasons.PROGRESSING, "The provider is not written to the runtime's plans yet")
    if plan.suspend:
        return ready(reasons.SUSPENDED, _noted("Its messages wait until it is released", value, standing))
    report = standing.providers.get(plan.name)
    if report is None or report.plan != content_hash(plan):
        return reconciling(reasons.PROGRESSING, "No runtime pod has connected to it yet")
    if report.reason:
        return waiting(report.reason, f"{report.message}. Its messages wait")
    return ready(reasons.SUCCEEDED, _noted("In force", value, standing))


# --- runtimes -------------------------------------------------------------------------------------------


def _runtime(value: Object, standing: Standing) -> Verdict:
    if standing.trouble is not None:
        return _troubled(standing.trouble)
    if standing.plans is None:
        return reconciling(reasons.PROGRESSING, "Streams and plans are not written yet")
    wanted = (value.get("spec") or {}).get("replicas", 1)
    status = (standing.deployment or {}).get("status") or {}
    there = status.get("readyReplicas") or 0
    if wanted and not there:
        return waiting(reasons.PODS_NOT_READY, f"0 of {wanted} pods are ready")
    if standing.plans.runtime.suspend:
        return ready(reasons.SUSPENDED, "Events are accepted, nothing is decided or sent")
    message = _noted(f"{there} of {wanted} pods are ready", value, standing)
    closed = receiver_closed(value, standing.issuer)
    if closed.status == "True":
        message += f". Warning: the receiver is closed [{closed.reason}]"
    return ready(reasons.SUCCEEDED, message)


def _troubled(trouble: Trouble) -> Verdict:
    if trouble.reason == reasons.SHARDS_DIFFER:
        return stalled(trouble.reason, trouble.message)
    return waiting(trouble.reason, trouble.message, status="Unknown" if trouble.unknown else "False")
