"""Flows: trigger, exits and steps to a program, references resolved against what else there is."""

from collections.abc import Mapping

import msgspec

from emailflow_api import plans as p
from emailflow_api.compile.filters import compile_filters
from emailflow_api.compile.later import refuse
from emailflow_api.compile.report import Report
from emailflow_api.compile.steps import StepCompiler
from emailflow_api.expressions import Result, Scope
from emailflow_api.kinds import EmailFlow
from emailflow_api.kinds.metadata import ObjectMeta
from emailflow_api.kinds.runtime import AllowedNamespaces

_NOT_FOUND = {
    "EmailTemplate": "TemplateNotFound",
    "EmailProvider": "ProviderNotFound",
    "ContactPolicy": "PolicyNotFound",
}


class Around(msgspec.Struct, frozen=True):
    """What a flow may refer to: names of sound templates (`namespace/name`), providers and policies."""

    runtime: p.RuntimePlan
    allowed: AllowedNamespaces
    labels: Mapping[str, Mapping[str, str]]
    """Labels of namespaces, by name."""
    templates: Mapping[str, p.TemplatePlan]
    providers: Mapping[str, p.ProviderPlan]
    policies: Mapping[str, p.PolicyPlan]


def compile_flow(report: Report, flow: EmailFlow, around: Around) -> tuple[p.FlowPlan, p.Program]:
    """Plan and program; what is wrong is in the report."""
    spec = flow.spec
    _check_supported(report, flow)
    _check_runtime(report, flow.namespace, around)
    steps = StepCompiler(report, flow.namespace, spec.steps).compile()
    key = report.expression("spec.trigger.key", spec.trigger.key, Scope.ENTRY, Result.STRING)
    program = p.Program(
        trigger=p.Trigger(
            types=tuple(spec.trigger.types),
            filters=compile_filters(report, "spec.trigger.filters", spec.trigger.filters, Scope.ENTRY),
            key=key,
        ),
        exits=tuple(
            p.Exit(
                types=tuple(each.types),
                filters=compile_filters(report, f"spec.exitOn[{index}].filters", each.filters, Scope.JOURNEY),
                result=each.result or "Exited",
            )
            for index, each in enumerate(spec.exit_on)
        ),
        continue_if=report.expression("spec.continueIf", spec.continue_if, Scope.JOURNEY, Result.BOOL),
        steps=steps,
    )
    policy = spec.policy_ref.name if spec.policy_ref else around.runtime.default_policy
    if policy and policy not in around.policies:
        _missing(report, "ContactPolicy", "spec.policyRef.name", policy, around.policies)
    _check_sends(report, flow, around, around.policies.get(policy))
    return _plan(flow, flow.metadata, p.content_hash(program), policy), program


def _plan(flow: EmailFlow, metadata: ObjectMeta, revision: str, policy: str) -> p.FlowPlan:
    start = flow.spec.trigger.start_from
    return p.FlowPlan(
        namespace=flow.namespace,
        name=flow.name,
        revision=revision,
        generation=metadata.generation,
        reentry=flow.spec.trigger.reentry,
        start_from=start if isinstance(start, str) else str(start.time),
        suspend=flow.spec.suspend,
        deletion_policy=flow.spec.deletion_policy,
        policy=policy,
    )


def _check_supported(report: Report, flow: EmailFlow) -> None:
    if flow.spec.revision_policy != "Pin":
        refuse(report, "spec.revisionPolicy", f"revisionPolicy {flow.spec.revision_policy}", "Pin")
    if flow.spec.templates != "Current":
        refuse(report, "spec.templates", f"templates {flow.spec.templates}", "Current")
    if flow.spec.deletion_policy != "Drain":
        refuse(report, "spec.deletionPolicy", f"deletionPolicy {flow.spec.deletion_policy}", "Drain")


def _check_runtime(report: Report, namespace: str, around: Around) -> None:
    """Whether the runtime lets this namespace in."""
    runtime, allowed = around.runtime, around.allowed
    if namespace == runtime.namespace or allowed.from_ == "All":
        return
    wanted = allowed.selector.match_labels if allowed.from_ == "Selector" and allowed.selector else None
    labels = around.labels.get(namespace, {})
    if wanted is None or any(labels.get(name) != value for name, value in wanted.items()):
        report.error(
            "NotAllowed",
            "spec.runtimeRef",
            f"the EmailRuntime {runtime.namespace}/{runtime.name} does not allow the namespace {namespace}",
            "its spec.allowedNamespaces letting it in",
        )


def _check_sends(report: Report, flow: EmailFlow, around: Around, policy: p.PolicyPlan | None) -> None:
    for index, step in enumerate(flow.spec.steps):
        if step.send is None:
            continue
        path = f"spec.steps[{index}].send"
        template = f"{flow.namespace}/{step.send.template_ref.name}"
        plan = around.templates.get(template)
        if plan is None:
            _missing(report, "EmailTemplate", f"{path}.templateRef.name", template, around.templates)
        provider = step.send.provider_ref.name if step.send.provider_ref else ""
        provider = provider or (policy.provider if policy else "") or around.runtime.default_provider
        if not provider:
            report.error(
                "NoProvider",
                path,
                "says no provider, and neither do the policy and the runtime's defaults",
                "providerRef here, or spec.defaults.providerRef of the EmailRuntime",
            )
        elif provider not in around.providers:
            _missing(report, "EmailProvider", f"{path}.providerRef.name", provider, around.providers)
        elif plan and not (step.send.from_ or plan.sender or around.providers[provider].sender):
            report.error(
                "NoSender", path, "neither the step, its template nor its provider says `from`", "a `from`"
            )


def _missing(report: Report, kind: str, path: str, name: str, known: Mapping[str, object]) -> None:
    there = ", ".join(sorted(known)) or "none"
    message = f"there is no {kind} {name} that can be used"
    report.error(_NOT_FOUND[kind], path, message, f"one of: {there}")
