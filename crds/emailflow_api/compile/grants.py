"""Grants: which namespaces an object is open to, and what a flow says that none of them covers.

Namespaces are known by the labels that the documents have; offline, one without a Namespace document has
its name for a label and no other. What is permitted is decided in `plans.permissions`, for the runtime too.
"""

from collections.abc import Iterator
from typing import NamedTuple

from emailflow_api import plans as p
from emailflow_api.compile.report import Report
from emailflow_api.kinds import EmailFlow
from emailflow_api.plans import permissions


def check_grants(report: Report, flow: EmailFlow, plans: p.Plans, policy: p.PolicyPlan | None) -> None:
    """Report what the flow reads, emits, uses or says that its namespace may not."""
    if policy is not None and not permissions.may_use(plans.runtime, policy, flow.namespace):
        report.error(
            permissions.NOT_A_USER,
            "spec.policyRef",
            f"the ContactPolicy {plans.runtime.namespace}/{policy.name} is not for flows of {flow.namespace}",
            "a policy whose `users` let the namespace in",
        )
    for path, kind in _read(flow):
        if not permissions.may_read(plans, kind, flow.namespace):
            report.error(permissions.NOT_A_READER, path, *_closed(plans, kind, flow.namespace, "readers"))
    for index, step in enumerate(flow.spec.steps):
        if step.emit is not None and not permissions.may_emit(plans, step.emit.type, flow.namespace):
            path = f"spec.steps[{index}].emit.type"
            closed = _closed(plans, step.emit.type, flow.namespace, "emitters")
            report.error(permissions.NOT_AN_EMITTER, path, *closed)


def _closed(plans: p.Plans, kind: str, namespace: str, member: str) -> tuple[str, str]:
    """What is there, and what is expected, of a type that a namespace may not read or emit."""
    home = plans.runtime.namespace
    if (declared := plans.event_types.get(kind)) is None:
        message = f"no EventType declares `{kind}`, so it is for flows of {home} only"
        return message, f"an EventType in {home} whose `{member}` let {namespace} in"
    return (
        f"the EventType {home}/{declared.name} is not for flows of {namespace}",
        f"its `{member}` to let the namespace in",
    )


def _read(flow: EmailFlow) -> Iterator[tuple[str, str]]:
    """Every type that the flow reads, each with its path."""
    spec = flow.spec
    places = [("spec.trigger.types", spec.trigger.types)]
    places += [(f"spec.exitOn[{index}].types", each.types) for index, each in enumerate(spec.exit_on)]
    for index, step in enumerate(spec.steps):
        for number, awaited in enumerate(step.wait_for.any_of if step.wait_for else ()):
            places.append((f"spec.steps[{index}].waitFor.any[{number}].types", awaited.types or []))
    for path, types in places:
        for index, kind in enumerate(types):
            yield f"{path}[{index}]", kind


class Mail(NamedTuple):
    """One mail of a flow, and what it goes out by, as far as that is there."""

    step: p.Send
    policy: p.PolicyPlan | None
    provider: p.ProviderPlan | None
    template: p.TemplatePlan | None


def check_mail(report: Report, path: str, mail: Mail) -> None:
    """Report recipients that the policy doesn't permit, senders that the provider doesn't."""
    said = {"to": mail.step.to, "cc": mail.step.cc, "bcc": mail.step.bcc}
    for member in (name for name, value in said.items() if value):
        if not permissions.may_mail_others(mail.policy):
            report.error(
                permissions.OTHER_RECIPIENTS_REFUSED,
                f"{path}.{member}",
                "mails go to the contact only",
                "a policy with `otherRecipients: true`",
            )
    if mail.provider is None:
        return
    for place, address in _foreign(mail, mail.provider):
        report.error(
            permissions.NOT_A_SENDER,
            f"{path}.{place}",
            f"the EmailProvider {mail.provider.name} sends nothing in the name of `{address}`",
            f"{_senders(mail.provider)}, with no address in the display name",
        )


def _foreign(mail: Mail, provider: p.ProviderPlan) -> Iterator[tuple[str, str]]:
    """Addresses that the provider doesn't permit, each with its path below the step's `send`."""
    step, template = mail.step, mail.template
    if (sender := permissions.sender_of(step, template)) and not permissions.may_send_as(provider, sender):
        yield "from" if step.sender else "templateRef", sender.address
    for address in permissions.answers_of(step, template):
        if not permissions.may_answer_to(provider, address):
            yield "replyTo" if step.reply_to else "templateRef", address


def _senders(provider: p.ProviderPlan) -> str:
    allowed = [f"an address in {domain}" for domain in provider.senders.domains]
    allowed += provider.senders.addresses
    if not allowed and provider.sender is not None:
        allowed.append(provider.sender.address)
    return " or ".join(allowed) or "`senders` in the provider"
