"""What a flow may do with what isn't its author's: read a type, use a policy, send as somebody, to somebody.

`compile` asks before a flow comes into force, the runtime asks again for each event and each mail, and both
ask here. Whatever a plan doesn't say is not permitted. Pure; it reports nothing and repairs nothing.
"""

import unicodedata
from collections.abc import Collection, Iterator
from functools import lru_cache

import idna
from msgspec.structs import replace

from emailflow_api.plans import (
    Address,
    FlowPlan,
    Plans,
    PolicyPlan,
    Program,
    ProviderPlan,
    RuntimePlan,
    Send,
    TemplatePlan,
)

EVERY_NAMESPACE = "*"
EVERY_DOMAIN = "*"
DERIVED = "dev.emailflow."
"""How the types of the events begin that EmailFlow itself derives."""
CAUSED = ("dev.emailflow.journey.", "dev.emailflow.message.")
"""How those begin that a flow causes; what is said of contacts and forms is no flow's."""

NOT_ALLOWED = "NotAllowed"
NOT_A_READER = "NotAReader"
NOT_AN_EMITTER = "NotAnEmitter"
NOT_A_USER = "NotAUser"
NOT_A_SENDER = "NotASender"
OTHER_RECIPIENTS_REFUSED = "OtherRecipientsRefused"
REFUSALS = frozenset(
    {NOT_ALLOWED, NOT_A_READER, NOT_AN_EMITTER, NOT_A_USER, NOT_A_SENDER, OTHER_RECIPIENTS_REFUSED}
)
"""The reasons why a flow is not permitted to do what it says."""


def lets_in(runtime: RuntimePlan, granted: Collection[str], namespace: str) -> bool:
    """Whether a grant of the runtime's namespace counts for this one. Its own always does."""
    return namespace == runtime.namespace or namespace in granted or EVERY_NAMESPACE in granted


def may_use(runtime: RuntimePlan, policy: PolicyPlan | None, namespace: str) -> bool:
    """Whether flows of the namespace may use a policy. Without any there is nothing to be permitted."""
    return policy is None or lets_in(runtime, policy.users, namespace)


def may_read(plans: Plans, kind: str, namespace: str, source: str = "") -> bool:
    """Whether flows of the namespace may read events of a type. `source` is the event's: what a flow caused
    may also be read in its namespace. Empty: it isn't known yet, and may be the namespace's own."""
    runtime, declared = plans.runtime, plans.event_types.get(kind)
    if kind.startswith(CAUSED) and (not source or _caused_in(runtime.id, source) == namespace):
        return True
    otherwise = () if kind.startswith(DERIVED) else runtime.undeclared_readers
    return lets_in(runtime, declared.readers if declared else otherwise, namespace)


def may_emit(plans: Plans, kind: str, namespace: str) -> bool:
    """Whether flows of the namespace may emit events of a type."""
    runtime, declared = plans.runtime, plans.event_types.get(kind)
    return lets_in(runtime, declared.emitters if declared else runtime.undeclared_readers, namespace)


def may_send_as(provider: ProviderPlan, sender: Address) -> bool:
    """Whether a mail by this provider may be from this mailbox. A display name that shows an address is
    refused, as many mail programs show nothing but the name."""
    if sender == provider.sender:
        return True
    return "@" not in unicodedata.normalize("NFKC", sender.name) and may_answer_to(provider, sender.address)


def may_answer_to(provider: ProviderPlan, address: str) -> bool:
    """Whether replies to a mail by this provider may go to this address."""
    said, allowed = _normalized(address), provider.senders
    single = [*allowed.addresses, *([provider.sender.address] if provider.sender else [])]
    if not said:
        return False
    if EVERY_DOMAIN in allowed.domains or said in map(_normalized, single):
        return True
    return said.rpartition("@")[2] in {_domain(each) for each in allowed.domains}


def sender_of(step: Send, template: TemplatePlan | None) -> Address | None:
    """Whom the step or its template says that a mail is from; None leaves it to the provider."""
    return step.sender or (template.sender if template else None)


def answers_of(step: Send, template: TemplatePlan | None) -> tuple[str, ...]:
    """Where the step or its template says that replies go; empty leaves it to the sender."""
    return step.reply_to or (template.reply_to if template else ())


def may_mail_others(policy: PolicyPlan | None) -> bool:
    """Whether a mail under this policy may go to anybody but the contact; without a policy it may not."""
    return policy is not None and policy.other_recipients


def refusal(plans: Plans, flow: FlowPlan) -> str:
    """The reason why a flow must not run as its current revision says; empty when it may.

    What is named and not there refuses nothing: what it would say isn't known, and mails wait for it.
    """
    return next(_refused(plans, flow, plans.programs.get(flow.revision)), "")


def _refused(plans: Plans, flow: FlowPlan, program: Program | None) -> Iterator[str]:
    runtime, namespace = plans.runtime, flow.namespace
    policy = plans.policies.get(flow.policy or runtime.default_policy)
    if not lets_in(runtime, runtime.namespaces, namespace):
        yield NOT_ALLOWED
    if not may_use(runtime, policy, namespace):
        yield NOT_A_USER
    if program is None:
        return
    if not all(may_read(plans, kind, namespace) for kind in program.types()):
        yield NOT_A_READER
    for step in program.steps:
        if isinstance(step, Send):
            yield from _refused_mail(plans, step, policy, named=bool(flow.policy or runtime.default_policy))


def _refused_mail(plans: Plans, step: Send, policy: PolicyPlan | None, *, named: bool) -> Iterator[str]:
    absent = named and policy is None
    if (step.to or step.cc or step.bcc) and not absent and not may_mail_others(policy):
        yield OTHER_RECIPIENTS_REFUSED
    name = step.provider or (policy.provider if policy else "") or plans.runtime.default_provider
    provider, template = plans.providers.get(name), plans.templates.get(step.template)
    if provider is None:
        return
    sender = sender_of(step, template)
    if sender is not None and not may_send_as(provider, sender):
        yield NOT_A_SENDER
    if not all(may_answer_to(provider, each) for each in answers_of(step, template)):
        yield NOT_A_SENDER


def remembered(before: Plans | None, now: Plans, namespaces: Collection[str]) -> Plans:
    """`now`, where deleted flows of namespaces that are gone too keep what they had been granted: nobody can
    say any more what their labels are, and they are to drain. `namespaces`: those that there are."""
    gone = {flow.namespace for flow in now.flows.values() if flow.deleted} - set(namespaces)
    if before is None or not gone:
        return now

    def kept(granted: tuple[str, ...], earlier: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted({*granted, *gone.intersection(earlier)}))

    runtime = replace(now.runtime, namespaces=kept(now.runtime.namespaces, before.runtime.namespaces))
    policies = {
        name: replace(policy, users=kept(policy.users, before.policies[name].users))
        if name in before.policies
        else policy
        for name, policy in now.policies.items()
    }
    event_types = {
        name: replace(each, readers=kept(each.readers, before.event_types[name].readers))
        if name in before.event_types
        else each
        for name, each in now.event_types.items()
    }
    return replace(now, runtime=runtime, policies=policies, event_types=event_types)


def stopped(plans: Plans, there: Collection[str]) -> Plans:
    """The plans, where deleted flows that are not permitted to go on are suspended for good: they do not
    drain, and those in them leave. `there`: flows (`namespace/name`) that only may not come in any more."""
    flows = {
        name: replace(flow, suspend=True)
        if flow.deleted and not flow.suspend and name not in there and refusal(plans, flow)
        else flow
        for name, flow in plans.flows.items()
    }
    return replace(plans, flows=flows)


@lru_cache(maxsize=4096)
def _caused_in(runtime: str, source: str) -> str:
    """The namespace of the flow that a derived event is about; empty when it is no flow's."""
    parts = source.split("/")
    own = ["", "emailflow", *runtime.split("_"), "flows"]
    return parts[5] if len(parts) == len(own) + 2 and parts[: len(own)] == own else ""


@lru_cache(maxsize=4096)
def _normalized(address: str) -> str:
    """The address in lower case, its domain in A-labels; empty for what can't be one."""
    local, at, domain = address.strip().rpartition("@")
    written = _domain(domain)
    return f"{local.lower()}@{written}" if at and local and written and "@" not in local else ""


@lru_cache(maxsize=4096)
def _domain(domain: str) -> str:
    """A domain in lower case and A-labels (IDNA 2008, UTS 46); empty for what is none."""
    try:
        return domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode().lower()
    except idna.IDNAError:
        return ""
