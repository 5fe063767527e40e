"""Flows: trigger, exits and steps to a program, references resolved against what else there is."""

import msgspec

from emailflow_api import plans as p
from emailflow_api.compile import later
from emailflow_api.compile.checked_expressions import CheckedExpressions, Schemas
from emailflow_api.compile.documents import Held
from emailflow_api.compile.filters import compile_filters
from emailflow_api.compile.grants import Mail, check_grants, check_mail
from emailflow_api.compile.loops import check_loops
from emailflow_api.compile.references import not_found
from emailflow_api.compile.report import Report
from emailflow_api.compile.steps import StepCompiler
from emailflow_api.compile.targets import check_targets
from emailflow_api.expressions import Scope
from emailflow_api.kinds import EmailFlow
from emailflow_api.kinds.send import Send
from emailflow_api.kinds.start import StartTime

LARGEST_FILE = 700_000
"""Bytes: a file is one message in PLANS, in base64."""


class Around(msgspec.Struct, frozen=True):
    """What a flow may refer to: the plans of what is sound besides flows, and files."""

    plans: p.Plans
    files: Held
    schemas: Schemas


def compile_flow(
    report: Report, flow: EmailFlow, around: Around, *, allowed: bool
) -> tuple[p.FlowPlan, p.Program]:
    """Plan and program; what is wrong is in the report. What a flow may do that the runtime doesn't serve
    (not `allowed`) is not asked."""
    later.check(report, later.FLOW, flow.spec)
    if later.MIGRATE.said(flow.spec):
        report.warning("NoEffect", later.MIGRATE.path, f"{later.MIGRATE.what} has no effect")
    check_targets(report, flow.spec.steps)
    check_loops(report, flow.spec.steps)
    program = _program(report, flow, around.schemas)
    policies = around.plans.policies
    name = flow.spec.policy_ref.name if flow.spec.policy_ref else around.plans.runtime.default_policy
    policy = policies.get(name)
    if not name and allowed:
        report.warning(
            "NoPolicy",
            "spec.policyRef",
            "mails go out without consent: only who wants no mail at all gets none",
            "`policyRef` here, or in the EmailRuntime's `defaults`",
        )
    if name and policy is None:
        not_found(report, "ContactPolicy", "spec.policyRef.name", name, policies)
    _check_sends(report, flow, around, policy, program if allowed else None)
    if allowed:
        check_grants(report, flow, around.plans, policy)
    return _plan(flow, p.content_hash(program), name), program


def _program(report: Report, flow: EmailFlow, schemas: Schemas) -> p.Program:
    spec, types = flow.spec, tuple(flow.spec.trigger.types)
    entry = CheckedExpressions(report, Scope.ENTRY, schemas, event=types)
    running = CheckedExpressions(report, Scope.JOURNEY, schemas, trigger=types)
    return p.Program(
        trigger=p.Trigger(
            types=types,
            filters=compile_filters(entry, "spec.trigger.filters", spec.trigger.filters),
            key=entry.text("spec.trigger.key", spec.trigger.key),
        ),
        exits=tuple(
            p.Exit(
                types=tuple(each.types),
                filters=compile_filters(
                    running.about(each.types), f"spec.exitOn[{index}].filters", each.filters
                ),
                result=each.result or "Exited",
            )
            for index, each in enumerate(spec.exit_on)
        ),
        continue_if=running.condition("spec.continueIf", spec.continue_if),
        steps=StepCompiler(running, flow.namespace, spec.steps).compile(),
    )


def _plan(flow: EmailFlow, revision: str, policy: str) -> p.FlowPlan:
    start = flow.spec.trigger.start_from
    return p.FlowPlan(
        namespace=flow.namespace,
        name=flow.name,
        revision=revision,
        generation=flow.metadata.generation,
        reentry=flow.spec.trigger.reentry,
        start_from=start.time if isinstance(start, StartTime) else start,
        suspend=flow.spec.suspend,
        deletion_policy=flow.spec.deletion_policy,
        policy=policy,
    )


def _check_sends(
    report: Report, flow: EmailFlow, around: Around, policy: p.PolicyPlan | None, program: p.Program | None
) -> None:
    """What mails need; by a `program`, also whether they are permitted."""
    templates = around.plans.templates
    for index, step in enumerate(flow.spec.steps):
        if step.send is None:
            continue
        path = f"spec.steps[{index}].send"
        template = f"{flow.namespace}/{step.send.template_ref.name}"
        if template not in templates:
            not_found(report, "EmailTemplate", f"{path}.templateRef.name", template, templates)
        provider = _provider(report, path, step.send, around, policy)
        _check_files(report, path, flow.namespace, step.send, around.files)
        known = templates.get(template)
        compiled = program.step(step.name) if program else None
        if isinstance(compiled, p.Send):
            check_mail(report, path, Mail(compiled, policy, provider, known))
        if known and provider and not (step.send.from_ or known.sender or provider.sender):
            report.error(
                "NoSender",
                path,
                "neither the step nor its template nor its provider says whom the mail is from",
                "`from` in one of them",
            )


def _provider(
    report: Report, path: str, send: Send, around: Around, policy: p.PolicyPlan | None
) -> p.ProviderPlan | None:
    """The provider that the mail takes: the step's, then the policy's, then the runtime's default."""
    providers = around.plans.providers
    if send.provider_ref is not None:
        name = send.provider_ref.name
        if name not in providers:
            not_found(report, "EmailProvider", f"{path}.providerRef.name", name, providers)
        return providers.get(name)
    name = (policy.provider if policy else "") or around.plans.runtime.default_provider
    if name not in providers:
        report.error(
            "NoProvider",
            path,
            f"no provider is left for this mail: there is no usable EmailProvider `{name}`",
            "`providerRef` here, in the policy, or in the EmailRuntime's `defaults`",
        )
    return providers.get(name)


def _check_files(report: Report, path: str, namespace: str, send: Send, files: Held) -> None:
    for index, attachment in enumerate(send.attachments):
        reference = attachment.config_map_key_ref
        found = files.get((namespace, reference.name), {}).get(reference.key)
        place = f"{path}.attachments[{index}].configMapKeyRef"
        if found is None:
            message = f"there is no ConfigMap {namespace}/{reference.name} with the key `{reference.key}`"
            report.error("ConfigMapNotFound", place, message)
        elif len(found) > LARGEST_FILE:
            report.error("TooLarge", place, f"is {len(found):,} bytes", f"at most {LARGEST_FILE:,}")
