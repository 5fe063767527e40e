"""What a mail needs besides what its contact says: policy, provider, Secrets, template, files.

What is named and not there holds the mails that need it, and opens no gate. All mails of one step need the
same, so what is absent is looked for once for all of them. It decides nothing about a mail.
"""

from typing import NamedTuple, Protocol

from emailflow_api.plans import FlowPlan, Plans, ProviderPlan, Send
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Signer
from emailflow_runtime.app.ports import MailTransport
from emailflow_runtime.core.facts import ABSENT
from emailflow_runtime.core.gates import Absent
from emailflow_runtime.errors import EmailFlowError


class Transports(Protocol):
    """The ways out, by provider."""

    def transport(self, provider: ProviderPlan) -> MailTransport:
        """The transport of a provider as it is declared now. Raises EmailFlowError, SecretNotFound say."""

    def signer(self, provider: ProviderPlan) -> Signer | None:
        """Its DKIM signer, if it has one. Raises EmailFlowError when the key can't be read."""


class Place(NamedTuple):
    """A step of a revision of a flow (an id)."""

    flow: str
    revision: str
    step: str


class Needs:
    """By the plans and the Secrets as they are now."""

    def __init__(self, catalog: Catalog, transports: Transports) -> None:
        self._catalog = catalog
        self._transports = transports
        self._known_for: Plans | None = None
        self._providers: dict[Place, str] = {}
        """By place, for those plans."""

    @property
    def plans(self) -> Plans:
        """The plans as they are now."""
        return self._catalog.plans

    async def differ_from(self, plans: Plans) -> None:
        """Return when the plans are not these any more."""
        await self._catalog.differ_from(plans)

    def provider_of(self, place: Place) -> str:
        """The name of the provider that the mails of this place go to; empty when nothing names one."""
        if self._known_for is not self._catalog.plans:
            self._known_for = self._catalog.plans
            self._providers.clear()
        name = self._providers.get(place)
        if name is None:
            found = self._step(place)
            name = self._catalog.provider_name(found[1], found[0]) if found is not None else ""
            self._providers[place] = name
        return name

    def is_declared(self, place: Place) -> bool:
        """Whether there is such a flow, usable or not."""
        return place.flow in self._catalog.flows()

    def is_suspended(self, place: Place) -> bool:
        """Whether the flow, the provider or the runtime is suspended, or the flow is not usable."""
        return self._catalog.is_suspended(place.flow, self.provider_of(place))

    def absent(self, flow: FlowPlan, step: Send) -> Absent | None:
        """What is named for a mail of this step, and not there. Secrets are not looked at."""
        catalog = self._catalog
        name = catalog.policy_name(flow)
        if name and catalog.policy(flow) is None:
            return Absent("policy", "PolicyNotFound", f"there is no ContactPolicy {name}")
        name = catalog.provider_name(step, flow)
        if catalog.provider(name) is None:
            return Absent("provider", "ProviderNotFound", f"there is no EmailProvider {name}")
        if catalog.template(step.template) is None:
            return Absent("template", "TemplateNotFound", f"there is no EmailTemplate {step.template}")
        for each in step.attachments:
            if catalog.file(flow.namespace, each.config_map, each.key) is None:
                where = f"ConfigMap {flow.namespace}/{each.config_map} with the key {each.key}"
                return Absent("attachments", "ConfigMapNotFound", f"there is no {where}")
        return None

    def absence(self, place: Place) -> Absent | None:
        """What keeps the mails of this place from being made, a Secret among it; None when it is there, or
        when they need nothing any more."""
        found = self._step(place)
        if found is None:
            return None
        flow, step = found
        absent = self.absent(flow, step)
        provider = self._catalog.provider(self.provider_of(place))
        if absent is not None or provider is None:
            return absent
        try:
            self._transports.transport(provider)
            self._transports.signer(provider)
        except EmailFlowError as error:
            return absence_in(error)
        return None

    def _step(self, place: Place) -> tuple[FlowPlan, Send] | None:
        """The flow as it is now, and the step if it still sends."""
        flow, programs = self._catalog.flow(place.flow), self._catalog.programs
        if flow is None:
            return None
        program = programs.get(place.revision) or programs[flow.revision]
        step = program.step(place.step)
        return (flow, step) if isinstance(step, Send) else None


def absence_in(error: EmailFlowError) -> Absent | None:
    """What is absent, if that is what the error says."""
    if error.reason not in ABSENT:
        return None
    gates = {"TemplateNotFound": "template", "ConfigMapNotFound": "attachments"}
    return Absent(gates.get(error.reason, "secret"), error.reason, str(error))
