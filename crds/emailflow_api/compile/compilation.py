"""The whole: from documents to the plans of one runtime, and everything that is wrong with them."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from emailflow_api import plans as p
from emailflow_api.compile.documents import Held, Sorted, sort_documents
from emailflow_api.compile.flows import Around, compile_flow
from emailflow_api.compile.platform import (
    compile_event_type,
    compile_policy,
    compile_provider,
    compile_runtime,
)
from emailflow_api.compile.report import Report
from emailflow_api.compile.templates import TemplateCompiler
from emailflow_api.errors import Finding
from emailflow_api.kinds import (
    ContactPolicy,
    EmailFlow,
    EmailProvider,
    EmailRuntime,
    EmailTemplate,
    EventType,
)
from emailflow_api.kinds.metadata import API_VERSION, Resource
from emailflow_api.reading import Document

_R = TypeVar("_R", bound=Resource)
LAPTOP_SENDER = p.Address("hello@example.com", "EmailFlow")
"""Who mails are from on a laptop when nothing says so."""


class Compilation(msgspec.Struct):
    """What came out: the plans of what is sound, and the findings about everything else."""

    plans: p.Plans
    findings: tuple[Finding, ...]
    secrets: Held
    config_maps: Held
    samples: dict[str, dict[str, Any]]
    """The `sample` of each template that has one, by `namespace/name`."""


def compile_resources(
    documents: Iterable[Document], *, laptop: bool = False, runtime: tuple[str, str] | None = None
) -> Compilation:
    """Compile all documents for one runtime: the one named (namespace, name), else the only one there is.

    `laptop` fills in what `emailflow dev` promises: an EmailRuntime and an EmailProvider named `default`
    where there is none, and the mail catcher in the place of every provider that isn't annotated
    `emailflow.dev/deliver: "true"`.
    """
    return _Compiler(sort_documents(documents), laptop=laptop).compile(runtime)


class _Compiler:
    def __init__(self, found: Sorted, *, laptop: bool) -> None:
        self._found = found
        self._laptop = laptop
        self._findings = list(found.findings)

    def compile(self, wanted: tuple[str, str] | None) -> Compilation:
        runtime = self._choose(wanted)
        report = Report(_subject(runtime))
        plan = compile_runtime(report, runtime)
        self._findings += report.findings
        providers = self._providers(runtime)
        if not plan.default_provider:
            # As the kind says; on a laptop the only provider will do.
            only = next(iter(providers)) if self._laptop and len(providers) == 1 else ""
            name = "default" if "default" in providers else only
            plan = msgspec.structs.replace(plan, default_provider=name)
        templates = self._templates(plan)
        policies = self._in_namespace(ContactPolicy, plan.namespace, compile_policy)
        around = Around(
            runtime=plan,
            allowed=runtime.spec.allowed_namespaces,
            labels=self._found.namespaces,
            templates=templates,
            providers=providers,
            policies={each.name: each for each in policies},
        )
        flows, programs = self._flows(runtime, around)
        plans = p.Plans(
            runtime=plan,
            flows=flows,
            programs=programs,
            templates=templates,
            providers=providers,
            policies=dict(around.policies),
            event_types=self._event_types(plan.namespace),
        )
        samples = {
            f"{each.namespace}/{each.name}": dict(each.spec.sample)
            for each in self._found.of(EmailTemplate)
            if each.spec.sample
        }
        return Compilation(
            plans, tuple(self._findings), self._found.secrets, self._found.config_maps, samples
        )

    def _choose(self, wanted: tuple[str, str] | None) -> EmailRuntime:
        """The runtime to compile for. Several on a laptop: the first by name, which is said."""
        known: list[EmailRuntime] = self._found.of(EmailRuntime)
        runtimes = sorted(known, key=lambda each: (each.namespace, each.name))
        if wanted is not None:
            runtimes = [each for each in runtimes if (each.namespace, each.name) == wanted]
        if not runtimes:
            namespace, name = wanted or ("default", "default")
            return EmailRuntime.model_validate(
                {
                    "apiVersion": API_VERSION,
                    "kind": "EmailRuntime",
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": {},
                }
            )
        for other in runtimes[1:]:
            report = Report(_subject(other))
            report.warning("NotServed", "", f"only {_subject(runtimes[0])} is served here")
            self._findings += report.findings
        return runtimes[0]

    def _compiled(self, resources: Iterable[_R], make: Any) -> list[tuple[_R, Any]]:
        """What `make(report, resource)` gives for each that is sound."""
        made = []
        for resource in resources:
            report = Report(_subject(resource))
            plan = make(report, resource)
            self._findings += report.findings
            if not report.failed:
                made.append((resource, plan))
        return made

    def _in_namespace(self, kind: type[_R], namespace: str, make: Any) -> list[Any]:
        """Plans of a kind that counts only in the runtime's namespace."""
        resources: list[_R] = self._found.of(kind)
        for each in resources:
            if each.namespace != namespace:
                report = Report(_subject(each))
                report.warning(
                    "OtherNamespace",
                    "metadata.namespace",
                    "counts only in its runtime's namespace",
                    namespace,
                )
                self._findings += report.findings
        return [plan for _, plan in self._compiled((r for r in resources if r.namespace == namespace), make)]

    def _providers(self, runtime: EmailRuntime) -> dict[str, p.ProviderPlan]:
        def make(report: Report, provider: EmailProvider) -> p.ProviderPlan:
            return compile_provider(report, provider, laptop=self._laptop)

        made = {each.name: each for each in self._in_namespace(EmailProvider, runtime.namespace, make)}
        if self._laptop:
            if not self._found.of(EmailProvider):
                made["default"] = p.ProviderPlan(runtime.namespace, "default", p.Catcher())
            # A mail that is only caught may come from anybody.
            made = {
                name: msgspec.structs.replace(each, sender=each.sender or LAPTOP_SENDER)
                if isinstance(each.transport, p.Catcher)
                else each
                for name, each in made.items()
            }
        return made

    def _templates(self, runtime: p.RuntimePlan) -> dict[str, p.TemplatePlan]:
        by_name = {f"{each.namespace}/{each.name}": each for each in self._found.of(EmailTemplate)}
        compiler = TemplateCompiler(by_name, self._found.config_maps, runtime.namespace)
        made = self._compiled(by_name.values(), compiler.compile)
        return {f"{each.namespace}/{each.name}": plan for each, plan in made}

    def _event_types(self, namespace: str) -> dict[str, p.EventTypePlan]:
        made: dict[str, p.EventTypePlan] = {}
        for plan in self._in_namespace(EventType, namespace, compile_event_type):
            if plan.type in made:
                report = Report(f"EventType/{namespace}/{plan.name}")
                report.error(
                    "DuplicateType",
                    "spec.type",
                    f"{plan.type} has the EventType {made[plan.type].name} already",
                )
                self._findings += report.findings
                continue
            made[plan.type] = plan
        return made

    def _flows(
        self, runtime: EmailRuntime, around: Around
    ) -> tuple[dict[str, p.FlowPlan], dict[str, p.Program]]:
        flows: dict[str, p.FlowPlan] = {}
        programs: dict[str, p.Program] = {}
        mine = [each for each in self._found.of(EmailFlow) if self._is_served(each, runtime)]
        made = self._compiled(mine, lambda report, flow: compile_flow(report, flow, around))
        for flow, (plan, program) in made:
            flows[f"{flow.namespace}/{flow.name}"] = plan
            programs[plan.revision] = program
        return flows, programs

    def _is_served(self, flow: EmailFlow, runtime: EmailRuntime) -> bool:
        reference = flow.spec.runtime_ref
        name = reference.name if reference else "default"
        namespace = (reference.namespace if reference else None) or flow.namespace
        if (namespace, name) == (runtime.namespace, runtime.name):
            return True
        known: Mapping[tuple[str, str], EmailRuntime] = {
            (each.namespace, each.name): each for each in self._found.of(EmailRuntime)
        }
        if (namespace, name) not in known:
            # On a laptop, one runtime serves every flow that names none.
            if self._laptop and reference is None:
                return True
            report = Report(_subject(flow))
            report.error("RuntimeNotFound", "spec.runtimeRef", f"there is no EmailRuntime {namespace}/{name}")
            self._findings += report.findings
        return False


def _subject(resource: Resource) -> str:
    kind: str = resource.kind  # type: ignore[attr-defined] # every concrete kind has it
    return f"{kind}/{resource.namespace}/{resource.name}"
