"""What stays in force when resources change: the last good version of what is broken now or was deleted while
a flow names it, and flows that are gone but whose journeys still run. Pure.

A policy or a provider that was deleted is not carried: what says whether a mail may go, and by whom, is never
an old word (DESIGN section 3).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from emailflow_api.plans import FlowPlan, Plans, Program, ProviderPlan, Send

MAX_EARLIER = 20
"""Revisions of a flow that are kept in force; a journey on an older one goes on with the current one."""

GRACE = 600 * 1_000_000_000
"""Nanoseconds for which a suspended flow may be gone before its journeys end."""

_Plan = TypeVar("_Plan", bound=msgspec.Struct)
_Stoppable = TypeVar("_Stoppable", FlowPlan, ProviderPlan)


class Named(msgspec.Struct, frozen=True):
    """What flows name: templates by `namespace/name`, files by `namespace/name/key`, CloudEvents types."""

    templates: frozenset[str]
    files: frozenset[str]
    types: frozenset[str]


def named_by(flows: Iterable[FlowPlan], programs: Mapping[str, Program]) -> Named:
    """What these flows name, in each revision that journeys may be on."""
    used = [
        (flow, programs[revision])
        for flow in flows
        for revision in (flow.revision, *flow.earlier)
        if revision in programs
    ]
    sends = [(flow, step) for flow, program in used for step in program.steps if isinstance(step, Send)]
    return Named(
        templates=frozenset(step.template for _, step in sends),
        files=frozenset(
            f"{flow.namespace}/{each.config_map}/{each.key}"
            for flow, step in sends
            for each in step.attachments
        ),
        types=frozenset().union(*(program.types() for _, program in used)),
    )


def carry_over(
    before: Plans | None, now: Plans, broken: Collection[str], *, at: int = 0, suspended: Collection[str] = ()
) -> Plans:
    """The plans to run: `now`, completed by what `before` had of the `broken` objects
    (`Kind/namespace/name`), and of what flows in force name. A flow that is neither there nor broken is
    marked deleted, `at` this moment (nanoseconds since 1970 UTC, by the clock of the store; 0: the time is
    not known): it drains, or its journeys end (`let_go`).

    `suspended`: flows and providers (`Kind/namespace/name`) that say so, broken or not: whatever else is
    wrong with an object, it can be stopped."""
    if before is None:
        return now
    namespace = now.runtime.namespace
    programs = {**before.programs, **now.programs}
    still = _broken("EmailFlow", before.flows, broken)
    there = {name: replace(flow, deleted=False, absent_since=0, leave=False) for name, flow in still.items()}
    flows = {**_stopped("EmailFlow", there, suspended), **now.flows}
    current = {name: _revised(before.flows.get(name), flow, programs) for name, flow in flows.items()}
    gone = {name: let_go(flow, at) for name, flow in before.flows.items() if name not in current}
    in_force = {**gone, **current}
    named = named_by(in_force.values(), programs)
    declared = {f"EventType/{namespace}/{plan.name}": kind for kind, plan in before.event_types.items()}
    providers = _broken(f"EmailProvider/{namespace}", before.providers, broken)
    types = {declared[subject] for subject in broken if subject in declared}
    return replace(
        now,
        flows=in_force,
        programs=programs,
        templates={
            **_some(before.templates, named.templates),
            **_broken("EmailTemplate", before.templates, broken),
            **now.templates,
        },
        files={**_some(before.files, named.files), **now.files},
        event_types={**_some(before.event_types, named.types | types), **now.event_types},
        providers={**_stopped(f"EmailProvider/{namespace}", providers, suspended), **now.providers},
        policies={**_broken(f"ContactPolicy/{namespace}", before.policies, broken), **now.policies},
    )


def subjects(plans: Plans) -> Iterator[str]:
    """Every object that these plans are made from, as `Kind/namespace/name`; ConfigMaps left out."""
    namespace = plans.runtime.namespace
    yield f"EmailRuntime/{namespace}/{plans.runtime.name}"
    yield from (f"EmailFlow/{name}" for name, flow in plans.flows.items() if not flow.deleted)
    yield from (f"EmailTemplate/{name}" for name in plans.templates)
    yield from (f"EmailProvider/{namespace}/{name}" for name in plans.providers)
    yield from (f"ContactPolicy/{namespace}/{name}" for name in plans.policies)
    yield from (f"EventType/{namespace}/{plan.name}" for plan in plans.event_types.values())


def _revised(before: FlowPlan | None, now: FlowPlan, programs: Collection[str]) -> FlowPlan:
    """The flow, knowing the revisions that journeys may still be on. One whose program is lost is forgotten:
    nobody could go on by it, and everybody would wait for it."""
    if before is None:
        return now
    earlier = (before.revision, *before.earlier, *now.earlier)
    kept = dict.fromkeys(
        revision for revision in earlier if revision != now.revision and revision in programs
    )
    return replace(now, earlier=tuple(kept)[:MAX_EARLIER])


def waits_to_leave(flow: FlowPlan) -> bool:
    """Whether those in a flow leave once it has been gone for long enough: nobody can release it any more."""
    return flow.deleted and flow.suspend and not flow.leave


def let_go(flow: FlowPlan, at: int) -> FlowPlan:
    """A flow that is gone, `at` this moment; 0: the time is not known. Who is in one that says
    `deletionPolicy: Exit` leaves at once, who is in one that was suspended after `GRACE`: by then it was not
    replaced (`kubectl replace --force`)."""
    since = flow.absent_since or at
    gone = replace(flow, deleted=True, absent_since=since)
    overdue = bool(at) and waits_to_leave(gone) and at >= since + GRACE
    return replace(gone, leave=gone.leave or overdue or gone.deletion_policy == "Exit")


def _broken(prefix: str, before: Mapping[str, _Plan], broken: Collection[str]) -> dict[str, _Plan]:
    return {name: plan for name, plan in before.items() if f"{prefix}/{name}" in broken}


def _stopped(
    prefix: str, before: Mapping[str, _Stoppable], suspended: Collection[str]
) -> dict[str, _Stoppable]:
    return {
        name: replace(plan, suspend=plan.suspend or f"{prefix}/{name}" in suspended)
        for name, plan in before.items()
    }


def _some(before: Mapping[str, _Plan], names: Collection[str]) -> dict[str, _Plan]:
    return {name: plan for name, plan in before.items() if name in names}
