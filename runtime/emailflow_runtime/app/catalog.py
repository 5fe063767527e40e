"""The plans as they are now, with programs compiled when first needed.

The one place where a change of a manifest becomes visible to the machinery: replaced whole, never edited.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping

from emailflow_api.durations import seconds
from emailflow_api.errors import InvalidExpression
from emailflow_api.plans import EventTypePlan, FlowPlan, Plans, PolicyPlan, ProviderPlan, Send, TemplatePlan
from emailflow_runtime.app.stores import PlanSource
from emailflow_runtime.core.contact import Mapping as ContactMapping
from emailflow_runtime.core.program import CompiledProgram


class Programs(Mapping[str, CompiledProgram]):
    """Compiled programs by revision. One that doesn't compile counts as absent; compile reports it."""

    def __init__(self, plans: Plans, compiled: dict[str, CompiledProgram]) -> None:
        self._plans = plans
        self._compiled = {revision: compiled[revision] for revision in compiled if revision in plans.programs}

    def __getitem__(self, revision: str) -> CompiledProgram:
        if revision not in self._compiled:
            try:
                self._compiled[revision] = CompiledProgram(self._plans.programs[revision])
            except InvalidExpression as invalid:
                raise KeyError(revision) from invalid
        return self._compiled[revision]

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
        """Return when neither flow, provider nor runtime is suspended (what is gone isn't)."""
        if not self.is_suspended(flow, provider):
            return
        async with self._changed:
            await self._changed.wait_for(lambda: not self.is_suspended(flow, provider))

    def is_suspended(self, flow: str, provider: str = "") -> bool:
        """Whether entries, timers and sends of this flow are held, or sends through this provider."""
        held = (self.plans.runtime, self._flows.get(flow), self.plans.providers.get(provider))
        return any(plan is not None and plan.suspend for plan in held)

    def flow(self, flow: str) -> FlowPlan | None:
        """The flow of this id, if it can run."""
        plan = self._flows.get(flow)
        return plan if plan is not None and plan.revision in self.plans.programs else None

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

    def policy(self, flow: FlowPlan) -> PolicyPlan | None:
        """The policy that holds for a flow."""
        return self.plans.policies.get(flow.policy or self.plans.runtime.default_policy)

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
