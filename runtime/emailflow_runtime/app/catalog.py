"""The plans as they are now, with programs compiled when first needed.

The one place where a change of a manifest becomes visible to the machinery: replaced whole, never edited.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping

from emailflow_api.durations import seconds
from emailflow_api.errors import InvalidExpression
from emailflow_api.plans import (
    EventTypePlan,
    FlowPlan,
    Plans,
    PolicyPlan,
    ProviderPlan,
    Send,
    TemplatePlan,
    content_hash,
    permissions,
)
from emailflow_runtime.app.stores import PlanSource
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Mapping as ContactMapping
from emailflow_runtime.core.program import CompiledProgram


class Programs(Mapping[str, CompiledProgram]):
    """Compiled programs by revision. One that doesn't compile counts as absent."""

    def __init__(self, plans: Plans, compiled: dict[str, CompiledProgram]) -> None:
        self._plans = plans
        self._compiled = {revision: compiled[revision] for revision in compiled if revision in plans.programs}
        self.failed: set[str] = set()
        """Revisions that don't compile here: the operator, of another release, could compile them."""

    def __getitem__(self, revision: str) -> CompiledProgram:
        compiled = self._compiled.get(revision)
        if compiled is not None:
            return compiled
        if revision in self.failed:
            raise KeyError(revision)
        try:
            compiled = self._compiled[revision] = CompiledProgram(self._plans.programs[revision])
        except InvalidExpression as invalid:
            self.failed.add(revision)
            raise KeyError(revision) from invalid
        return compiled

    def __iter__(self) -> Iterator[str]:
        return iter(self._plans.programs)

    def __len__(self) -> int:
        return len(self._plans.programs)

    @property
    def compiled(self) -> dict[str, CompiledProgram]:
        """Those compiled so far."""
        return self._compiled


class Catalog:
    """The current plans. `follow` keeps them current."""

    def __init__(self, plans: Plans) -> None:
        self._changed = asyncio.Condition()
        self._replace(plans, {})

    def _replace(self, plans: Plans, compiled: dict[str, CompiledProgram]) -> None:
        self.plans = plans
        self.programs = Programs(plans, compiled)
        self._flows = {flow.id: flow for flow in plans.flows.values()}
        self._usable: dict[str, FlowPlan] = {}
        """By id, the flows that have been found to be usable."""
        self._refusals: dict[str, str] = {}
        """By id, why flows may not run; empty: they may."""
        self._mappings: dict[str, ContactMapping] = {}
        self._default = ContactMapping(None)
        caps = [cap for policy in plans.policies.values() for cap in policy.caps]
        days = max((seconds(cap.per) for cap in caps), default=0)
        # A calendar day has up to 25 hours, and the day of the first mail counts whole.
        self.cap_horizon = int(days * 26 / 24 + 86_400) * 1_000_000_000 if caps else 0
        """How long a mail may count under any cap, in nanoseconds; 0: there are no caps."""

    async def replace(self, plans: Plans) -> None:
        """Put new plans in the place of the old ones."""
        async with self._changed:
            self._replace(plans, self.programs.compiled)
            self._changed.notify_all()

    async def follow(self, source: PlanSource) -> None:
        """Take every snapshot of the source, until cancelled."""
        async for plans in source.snapshots():
            await self.replace(plans)

    async def differ_from(self, plans: Plans) -> None:
        """Return when the plans are not these any more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.plans is not plans)

    async def has(self, revisions: Collection[str]) -> None:
        """Return when there are programs of all these revisions."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.plans.programs.keys() >= set(revisions))

    async def flows_differ(self, from_: set[str]) -> None:
        """Return when the flows (ids) that there are, are not these."""
        async with self._changed:
            await self._changed.wait_for(lambda: set(self._flows) != from_)

    async def until_released(self, flow: str, provider: str = "") -> None:
        """Return when the flow is usable and permitted, and neither it, the provider nor the runtime is
        suspended."""
        if not self.is_suspended(flow, provider):
            return
        async with self._changed:
            await self._changed.wait_for(lambda: not self.is_suspended(flow, provider))

    async def until_usable(self, flow: str) -> None:
        """Return when the flow is usable, suspended or not."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.flow(flow) is not None)

    def is_suspended(self, flow: str, provider: str = "") -> bool:
        """Whether entries, timers and sends of this flow are held, or sends through this provider. A flow
        that can't be used, since a program of it is absent, or that is not permitted (any more) to do what it
        says, is held like one that is suspended."""
        plan = self.flow(flow)
        if plan is None or plan.suspend or self.plans.runtime.suspend or self.refusal(flow):
            return True
        known = self.plans.providers.get(provider)
        return known is not None and known.suspend

    def refusal(self, flow: str) -> str:
        """The reason why the flow of this id is not permitted to run; empty when it is."""
        known = self._refusals.get(flow)
        if known is None:
            plan = self._flows.get(flow)
            known = self._refusals[flow] = permissions.refusal(self.plans, plan) if plan else ""
        return known

    def may_read(self, flow: FlowPlan, event: CloudEvent) -> bool:
        """Whether this event is for flows of this one's namespace."""
        return permissions.may_read(self.plans, event.type, flow.namespace, event.source)

    def flow(self, flow: str) -> FlowPlan | None:
        """The flow of this id, if it is usable: there is a program, which compiles, for each revision that
        journeys may be on. By another one they would take another way."""
        plan = self._usable.get(flow)
        if plan is None and (plan := self._flows.get(flow)) is not None:
            if not all(revision in self.programs for revision in _revisions(plan)):
                return None
            self._usable[flow] = plan
        return plan

    def may_be_used(self, flow: str) -> bool:
        """Whether the flow is usable as far as is known: compiling what nobody needs yet costs time."""
        plan, programs = self._flows.get(flow), self.plans.programs
        return plan is not None and all(
            revision in programs and revision not in self.programs.failed for revision in _revisions(plan)
        )

    def goes_by(self, flow: str, plan: str) -> bool:
        """Whether this is the flow's plan here, by its content hash; one without a name is any."""
        known = self._flows.get(flow)
        return not plan or (known is not None and content_hash(known) == plan)

    def flows(self) -> Mapping[str, FlowPlan]:
        """All flows by id."""
        return self._flows

    def template(self, name: str) -> TemplatePlan | None:
        """The template `namespace/name`."""
        return self.plans.templates.get(name)

    def file(self, namespace: str, config_map: str, key: str) -> bytes | None:
        """The content of a file that a flow of this namespace attaches."""
        found = self.plans.files.get(f"{namespace}/{config_map}/{key}")
        return found.content if found is not None else None

    def provider(self, name: str) -> ProviderPlan | None:
        """The provider of this name."""
        return self.plans.providers.get(name)

    def policy_name(self, flow: FlowPlan) -> str:
        """The name of the policy that holds for a flow; empty when nothing names one."""
        return flow.policy or self.plans.runtime.default_policy

    def policy(self, flow: FlowPlan) -> PolicyPlan | None:
        """The policy that holds for a flow; None also when the one that is named is not there."""
        return self.plans.policies.get(self.policy_name(flow))

    def provider_name(self, step: Send, flow: FlowPlan) -> str:
        """The name of the provider that a step's mails go to; empty when nothing names one."""
        policy = self.policy(flow)
        return step.provider or (policy.provider if policy else "") or self.plans.runtime.default_provider

    def event_type(self, kind: str) -> EventTypePlan | None:
        """The contract of a CloudEvents type."""
        return self.plans.event_types.get(kind)

    def mapping(self, kind: str) -> ContactMapping:
        """How events of this type say whom they are about."""
        if kind not in self._mappings:
            contract = self.event_type(kind)
            if contract is None or contract.contact is None:
                return self._default
            self._mappings[kind] = ContactMapping(contract.contact)
        return self._mappings[kind]


def _revisions(flow: FlowPlan) -> tuple[str, ...]:
    return (flow.revision, *flow.earlier)
