"""The whole: from documents to the plans of one runtime, and everything that is wrong with them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_api.compile.documents import NOTHING_GIVEN_UP, Contract, Held, Sorted, sort_documents
from emailflow_api.compile.event_types import compile_event_type
from emailflow_api.compile.flows import Around, compile_flow
from emailflow_api.compile.policies import compile_policy
from emailflow_api.compile.providers import DELIVER, compile_provider
from emailflow_api.compile.report import Report
from emailflow_api.compile.runtimes import (
    Key,
    blank,
    check_allowed,
    choose,
    compile_runtime,
    runtime_of,
    warn_of_an_open_receiver,
    warn_of_no_links,
    warn_of_what_nobody_sees,
)
from emailflow_api.compile.templates import TemplateCompiler
from emailflow_api.errors import Finding
from emailflow_api.kinds import (
    ContactPolicy,
    EmailFlow,
    EmailProvider,
    EmailRuntime,
    EmailTemplate,
    EventType,
    Resource,
)
from emailflow_api.plans.permissions import EVERY_DOMAIN
from emailflow_api.reading import Document

_R = TypeVar("_R", bound=Resource)
_P = TypeVar("_P")
_S = TypeVar("_S", bound=msgspec.Struct)
LAPTOP_SENDER = p.Address("hello@example.com", "EmailFlow")
"""Who mails are from on a laptop when nothing says so."""
LARGEST_PLAN = 1_000_000
"""Bytes: nats-server's max_payload is 1 MiB by default, and a plan is one message."""


class Compilation(msgspec.Struct):
    """What came out: the plans of what is sound, and the findings about everything else."""

    plans: p.Plans
    findings: tuple[Finding, ...]
    secrets: Held
    config_maps: Held
    samples: dict[str, dict[str, Any]]
    """The `sample` of each template that has one, by `namespace/name`."""
    namespaces: frozenset[str] = frozenset()
    """Those that the documents tell of."""
    suspended: frozenset[str] = frozenset()
    """Flows and providers (`Kind/namespace/name`) that say `suspend: true`, sound or not."""


def compile_resources(
    documents: Iterable[Document],
    *,
    laptop: bool = False,
    for_cluster: bool = False,
    runtime: Key | None = None,
    given_up: Mapping[str, Finding] = NOTHING_GIVEN_UP,
    begin: Callable[[str], None] = lambda _: None,
) -> Compilation:
    """Compile all documents for one runtime: the one named (namespace, name), else the only one there is.

    `given_up`: subjects that are known not to compile in bounds, each with the finding that says so; they
    are broken without being looked at. `begin` is told the subject of each object whose turn it is, so that
    whoever bounds this from outside knows whom it was about.

    `laptop` fills in what `emailflow dev` promises: an EmailRuntime and an EmailProvider named `default`
    where there is none, and the mail catcher in the place of every provider that isn't annotated
    `emailflow.dev/deliver: "true"`. With `for_cluster` nothing that is declared is caught, and what a cluster
    would say of it is said. Never raises; without a usable runtime, no flow is in the plans.
    """
    found = sort_documents(documents, given_up, begin)
    compiler = _Compiler(found, runtime, laptop=laptop, begin=begin)
    compiler.catches = laptop and not for_cluster
    return compiler.compile()


class _Compiler:
    def __init__(
        self, found: Sorted, wanted: Key | None, *, laptop: bool, begin: Callable[[str], None]
    ) -> None:
        self._found = found
        self._begin = begin
        self._laptop = laptop
        self.catches = laptop
        """Whether mails go to the mail catcher."""
        self._wanted = wanted
        self._chosen = choose(found, wanted, laptop=laptop)
        self._runtime = self._chosen.runtime
        self._runtimes = {(each.namespace, each.name) for each in found.of(EmailRuntime)}
        self._runtimes |= set(found.broken(EmailRuntime))
        self._findings = list(found.findings)

    def compile(self) -> Compilation:
        report = Report(_subject(self._runtime))
        self._begin(report.subject)
        spaces = self._found.namespaces
        runtime = report.shielded(lambda: compile_runtime(report, self._chosen, spaces))
        if runtime is None:
            nothing_said = replace(self._chosen, runtime=blank((self._runtime.namespace, self._runtime.name)))
            runtime = compile_runtime(report, nothing_said, spaces)
        if self._chosen.there and not self._chosen.implied and not self.catches:
            warn_of_no_links(report, self._runtime)
            warn_of_an_open_receiver(report, self._runtime)
            warn_of_what_nobody_sees(report, self._runtime)
        usable = self._chosen.there and not report.failed
        self._findings += report.findings
        self._warn_of_others()
        providers = self._providers()
        if self._chosen.implied and len(providers) == 1:
            runtime = replace(runtime, default_provider=next(iter(providers)))
        policies = self._shared(
            ContactPolicy,
            lambda report, policy: compile_policy(report, policy, providers, self._found.namespaces),
        )
        event_types = self._event_types()
        plans = p.Plans(
            runtime=runtime,
            templates=self._templates(),
            providers=providers,
            policies={each.name: each for each in policies},
            event_types=event_types,
        )
        around = Around(
            plans=plans,
            files=self._found.config_maps,
            schemas=self._schemas(event_types),
        )
        flows, programs = self._flows(around, usable=usable)
        files = self._files(flows.values(), programs)
        plans = replace(plans, flows=flows, programs=programs, files=files)
        samples = {
            f"{each.namespace}/{each.name}": dict(each.spec.sample)
            for each in self._found.of(EmailTemplate)
            if each.spec.sample
        }
        findings = tuple(self._findings)
        return Compilation(
            plans,
            findings,
            self._found.secrets,
            self._found.config_maps,
            samples,
            frozenset(self._found.namespaces),
            frozenset(self._suspended()),
        )

    def _suspended(self) -> Iterator[str]:
        """What says that it is suspended, also when something else is wrong with it."""
        flows = (each for each in self._found.of(EmailFlow) if self._concerns(each) and each.spec.suspend)
        yield from map(_subject, flows)
        yield from (_subject(each) for each in self._here(EmailProvider) if each.spec.suspend)

    # --- object by object ---------------------------------------------------------------------------

    def _compiled(self, resources: Iterable[_R], make: Callable[[Report, _R], _P]) -> list[tuple[_R, _P]]:
        """What `make` gives for each that is sound."""
        made = []
        for resource in resources:
            report = Report(_subject(resource))
            self._begin(report.subject)
            plan = report.shielded(partial(make, report, resource))
            self._findings += report.findings
            if plan is not None and not report.failed:
                made.append((resource, plan))
        return made

    def _shared(self, kind: type[_R], make: Callable[[Report, _R], _S]) -> list[_S]:
        """Plans of a kind that counts only in the runtime's namespace."""

        def fitting(report: Report, resource: _R) -> _S:
            return _fitting(report, make(report, resource))

        return [plan for _, plan in self._compiled(self._here(kind), fitting)]

    def _here(self, kind: type[_R]) -> list[_R]:
        """The resources of a kind in the runtime's namespace."""
        return [each for each in self._found.of(kind) if each.namespace == self._runtime.namespace]

    def _warn_of_others(self) -> None:
        """In a folder, say what has no effect: in a cluster, it may well be another runtime's."""
        if self._wanted is not None:
            return
        chosen = (self._runtime.namespace, self._runtime.name)
        homes = {namespace for namespace, _ in self._runtimes} | {chosen[0]}
        for each in self._found.resources:
            report = Report(_subject(each))
            if isinstance(each, EmailRuntime) and (each.namespace, each.name) != chosen:
                report.warning("NotServed", "", f"only the EmailRuntime {'/'.join(chosen)} is served here")
            elif isinstance(each, EmailProvider | ContactPolicy | EventType) and each.namespace not in homes:
                report.warning(
                    "OtherNamespace",
                    "metadata.namespace",
                    "counts only in the namespace of its EmailRuntime",
                    " or ".join(sorted(homes)),
                )
            self._findings += report.findings

    # --- kind by kind -------------------------------------------------------------------------------

    def _providers(self) -> dict[str, p.ProviderPlan]:
        captured = self._runtime.spec.delivery.mode == "Capture"

        def make(report: Report, provider: EmailProvider) -> p.ProviderPlan:
            delivers = provider.metadata.annotations.get(DELIVER) == "true" and not captured
            return compile_provider(report, provider, caught=self.catches and not delivers)

        made = {each.name: each for each in self._shared(EmailProvider, make)}
        declared = self._found.of(EmailProvider) or self._found.broken(EmailProvider)
        if self._laptop and not declared:
            made["default"] = p.ProviderPlan(
                self._runtime.namespace, "default", p.Catcher(), senders=p.Senders((EVERY_DOMAIN,))
            )
        # A mail that is only caught may come from anybody.
        return {
            name: replace(each, sender=each.sender or LAPTOP_SENDER)
            if isinstance(each.transport, p.Catcher)
            else each
            for name, each in made.items()
        }

    def _templates(self) -> dict[str, p.TemplatePlan]:
        by_name = {f"{each.namespace}/{each.name}": each for each in self._found.of(EmailTemplate)}
        compiler = TemplateCompiler(by_name, self._found.config_maps, self._runtime.namespace)
        made = self._compiled(
            by_name.values(),
            lambda report, template: _fitting(report, compiler.compile(report, template)),
        )
        return {f"{each.namespace}/{each.name}": plan for each, plan in made}

    def _event_types(self) -> dict[str, p.EventTypePlan]:
        """Of several for one type the oldest counts, also while it is broken: no newcomer takes a contract in
        force over. Files have no age; there the first one counts."""
        holders: dict[str, str] = {}
        for each in sorted(self._found.contracts.get(self._runtime.namespace, ()), key=_age):
            holders.setdefault(each.type, each.name)

        def make(report: Report, event_type: EventType) -> p.EventTypePlan:
            holder = holders[event_type.spec.type]
            if holder != event_type.name:
                message = f"{event_type.spec.type} has the EventType {holder} already"
                report.error("DuplicateType", "spec.type", message, "one EventType for each type")
            return compile_event_type(report, event_type, self._found.namespaces)

        return {plan.type: plan for plan in self._shared(EventType, make)}

    def _schemas(self, event_types: Mapping[str, p.EventTypePlan]) -> dict[str, Any]:
        """The schemas by type, as they were declared."""
        declared = {each.name: each.spec.data_schema for each in self._here(EventType)}
        return {each.type: declared[each.name] for each in event_types.values() if each.schema}

    def _flows(self, around: Around, *, usable: bool) -> tuple[dict[str, p.FlowPlan], dict[str, p.Program]]:
        def make(report: Report, flow: EmailFlow) -> tuple[p.FlowPlan, p.Program]:
            if not usable or not self._is_served(flow):
                message = f"there is no usable EmailRuntime `{'/'.join(runtime_of(flow))}`"
                report.error("RuntimeNotFound", "spec.runtimeRef", message)
            allowed = usable and self._is_served(flow)
            plan, program = compile_flow(report, flow, around, allowed=allowed)
            return plan, _fitting(report, program)

        served = [each for each in self._found.of(EmailFlow) if self._concerns(each)]
        made = self._compiled([each for each in served if self._is_let_in(each)], make)
        flows = {f"{flow.namespace}/{flow.name}": plan for flow, (plan, _) in made}
        return flows, {plan.revision: program for _, (plan, program) in made}

    def _files(self, flows: Iterable[p.FlowPlan], programs: Mapping[str, p.Program]) -> dict[str, p.FilePlan]:
        """What the flows attach to their mails."""
        made = {}
        for flow in flows:
            for step in programs[flow.revision].steps:
                for each in step.attachments if isinstance(step, p.Send) else ():
                    content = self._found.config_maps[flow.namespace, each.config_map][each.key]
                    file = p.FilePlan(flow.namespace, each.config_map, each.key, content)
                    made[file.id] = file
        return made

    def _is_let_in(self, flow: EmailFlow) -> bool:
        """Whether the runtime takes flows of that namespace; of one that it doesn't, no more is looked at."""
        if self._chosen.implied or not self._is_served(flow):
            return True
        report = Report(_subject(flow))
        labels = self._found.namespaces.get(flow.namespace, {})
        check_allowed(report, flow.namespace, self._runtime, labels)
        self._findings += report.findings
        return not report.failed

    def _is_served(self, flow: EmailFlow) -> bool:
        return self._chosen.implied or runtime_of(flow) == (self._runtime.namespace, self._runtime.name)

    def _concerns(self, flow: EmailFlow) -> bool:
        """Whether the flow is the chosen runtime's, or nobody's. Others are another compilation's."""
        return self._is_served(flow) or runtime_of(flow) not in self._runtimes


def _fitting(report: Report, plan: _S) -> _S:
    """The plan; one that is too large to be written is an error."""
    if (size := len(p.encode(plan))) > LARGEST_PLAN:
        report.error("TooLarge", "spec", f"is {size:,} bytes as a plan", f"at most {LARGEST_PLAN:,}")
    return plan


def _subject(resource: Resource) -> str:
    return f"{type(resource).__name__}/{resource.namespace}/{resource.name}"


def _age(contract: Contract) -> tuple[bool, str, str]:
    """To sort by, oldest first; what has no age stays in order, after what has."""
    created = contract.created
    return not created, created, contract.name if created else ""
