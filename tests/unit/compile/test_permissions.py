"""What an author may not do with what is the platform's: each way round it is a finding, and out of force."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emailflow_api.compile import compile_resources
from emailflow_api.reading import Document

API = "emailflow.dev/v1alpha1"
MAIL, SHOP = "mail", "shop"
KIND = "com.example.joined"
HELLO = {"name": "hello", "send": {"templateRef": {"name": "hello"}}}
READERS = {"from": "Selector", "selector": {"matchLabels": {"team": "growth"}}}


def thing(kind, name, spec, namespace=MAIL):
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def compiled(*, namespace=SHOP, labels=None, event=None, policy=None, provider=None, template=None, **flow):
    """A flow of `namespace` under a runtime of `mail` that lets everybody in; what is None isn't there."""
    default = flow.pop("default_policy", None)
    spec = {
        "runtimeRef": {"name": "default", "namespace": MAIL},
        "trigger": {"types": [KIND]},
        "steps": [HELLO],
        **flow,
    }
    relay = {"type": "Smtp", "smtp": {"host": "smtp.example.com"}, "from": {"address": "a@example.com"}}
    defaults = {"providerRef": {"name": "relay"}, **({"policyRef": {"name": default}} if default else {})}
    usual = {"allowedNamespaces": {"from": "All"}, "publicUrl": "https://m.example.com"}
    objects = [
        thing("EmailRuntime", "default", {**usual, "defaults": defaults}),
        thing("EmailProvider", "relay", {**relay, **(provider or {})}),
        thing("EmailTemplate", "hello", {"subject": "Hi", "html": "Hi", **(template or {})}, namespace),
        thing("EmailFlow", "welcome", spec, namespace),
        thing("ContactPolicy", "open", {"topic": "open", "users": {"from": "All"}, "otherRecipients": True}),
    ]
    if event is not None:
        objects.append(thing("EventType", "joined", {"type": KIND, **event}))
    if policy is not None:
        objects.append(thing("ContactPolicy", "receipts", {"topic": "receipts", **policy}))
    made = [Document({"apiVersion": API, **each}, "x.yaml", 1) for each in objects]
    for name, marks in ({namespace: labels} if labels is not None else {}).items():
        space = {"kind": "Namespace", "metadata": {"name": name, "labels": marks}}
        made.append(Document({"apiVersion": "v1", **space}, "x.yaml", 1))
    return compile_resources(made, runtime=(MAIL, "default"))


def send(**said):
    return {"steps": [{"name": "h", "send": {"templateRef": {"name": "hello"}, **said}}]}


def errors(found):
    return [(each.reason, each.path) for each in found.findings if each.severity.value == "Error"]


READ = {"event": {"readers": {"from": "All"}}}
"""What a flow of another namespace needs at least."""
OPEN = {**READ, "policyRef": {"name": "open"}}


def test_what_flows_cause_may_be_read_at_home_without_a_grant():
    """Which events those are is the runtime's to see."""
    found = compiled(policyRef={"name": "open"}, trigger={"types": ["dev.emailflow.message.accepted"]})
    assert errors(found) == []


def test_what_the_platform_grants_is_in_force():
    found = compiled(**OPEN)
    assert errors(found) == []
    assert "shop/welcome" in found.plans.flows


REFUSED = {
    "reads a type of the runtime's namespace": ({"event": {}}, "NotAReader", "spec.trigger.types[0]"),
    "reads a type that nobody has declared": ({}, "NotAReader", "spec.trigger.types[0]"),
    "reads a type whose readers are others": (
        {"event": {"readers": READERS}, "labels": {"team": "sales"}},
        "NotAReader",
        "spec.trigger.types[0]",
    ),
    "reads what people say of themselves": (
        {**READ, "trigger": {"types": ["dev.emailflow.contact.unsubscribed"]}},
        "NotAReader",
        "spec.trigger.types[0]",
    ),
    "exits on a type": (
        {**READ, "exitOn": [{"types": ["com.example.paid"]}]},
        "NotAReader",
        "spec.exitOn[0].types[0]",
    ),
    "waits for a type": (
        {**READ, "steps": [{"name": "w", "waitFor": {"any": [{"types": [KIND, "com.example.paid"]}]}}]},
        "NotAReader",
        "spec.steps[0].waitFor.any[0].types[1]",
    ),
    "emits a type that nobody has declared": (
        {**READ, "steps": [{"name": "e", "emit": {"type": "com.example.paid"}}]},
        "NotAnEmitter",
        "spec.steps[0].emit.type",
    ),
    "emits a type that it may read": (
        {**READ, "steps": [{"name": "e", "emit": {"type": KIND}}]},
        "NotAnEmitter",
        "spec.steps[0].emit.type",
    ),
    "goes round consent by a transactional policy": (
        {**READ, "policy": {"transactional": True}, "policyRef": {"name": "receipts"}},
        "NotAUser",
        "spec.policyRef",
    ),
    "gets a policy by the runtime's default": (
        {
            **READ,
            "policy": {},
            "default_policy": "receipts",
        },
        "NotAUser",
        "spec.policyRef",
    ),
    "mails somebody else": (
        {
            **READ,
            "steps": [{"name": "h", "send": {"templateRef": {"name": "hello"}, "to": "'x@evil.example'"}}],
        },
        "OtherRecipientsRefused",
        "spec.steps[0].send.to",
    ),
    "copies somebody in": (
        {
            **READ,
            "steps": [{"name": "h", "send": {"templateRef": {"name": "hello"}, "cc": ["'x@evil.example'"]}}],
        },
        "OtherRecipientsRefused",
        "spec.steps[0].send.cc",
    ),
    "copies somebody in behind the scenes": (
        {
            **READ,
            "steps": [{"name": "h", "send": {"templateRef": {"name": "hello"}, "bcc": ["'x@evil.example'"]}}],
        },
        "OtherRecipientsRefused",
        "spec.steps[0].send.bcc",
    ),
}


@pytest.mark.parametrize(("how", "reason", "path"), REFUSED.values(), ids=REFUSED.keys())
def test_an_author_may_not_do_what_the_platform_has_not_granted(how, reason, path):
    found = compiled(**how)
    assert (reason, path) in errors(found)
    assert found.plans.flows == {}


def test_what_an_author_may_not_do_to_others_is_not_for_the_platforms_own_flows_either():
    """A default of the runtime's namespace, but for recipients: those are the policy's to permit."""
    assert (
        errors(compiled(namespace=MAIL, policy={"transactional": True}, policyRef={"name": "receipts"})) == []
    )
    found = compiled(namespace=MAIL, **send(bcc=["'x@evil.example'"]))
    assert errors(found) == [("OtherRecipientsRefused", "spec.steps[0].send.bcc")]


def sending(**said):
    return {**OPEN, **send(**said)}


FOREIGN = {
    "a step's from": (sending(**{"from": {"address": "ceo@bank.example"}}), "send.from"),
    "a template's from": (
        {**OPEN, "template": {"from": {"address": "ceo@bank.example"}}},
        "send.templateRef",
    ),
    "a step's replyTo": (sending(replyTo=["ceo@bank.example"]), "send.replyTo"),
    "a template's replyTo": ({**OPEN, "template": {"replyTo": ["x@evil.example"]}}, "send.templateRef"),
    "a domain below": (sending(**{"from": {"address": "a@login.example.com"}}), "send.from"),
    "a domain above": (sending(**{"from": {"address": "a@com"}}), "send.from"),
    "a domain that looks alike": (sending(**{"from": {"address": "a@ex\u0430mple.com"}}), "send.from"),
    "a domain that only ends alike": (sending(**{"from": {"address": "a@notexample.com"}}), "send.from"),
    "an address as the display name": (
        sending(**{"from": {"address": "a@example.com", "name": "ceo@bank.example"}}),
        "send.from",
    ),
    "a wide at sign in the display name": (
        sending(**{"from": {"address": "a@example.com", "name": "ceo\uff20bank.example"}}),
        "send.from",
    ),
    "another domain than `senders` says": (
        {
            **sending(**{"from": {"address": "b@example.com"}}),
            "provider": {"senders": {"domains": ["example.org"]}},
        },
        "send.from",
    ),
    "nothing in `senders`": (
        {**sending(**{"from": {"address": "b@example.com"}}), "provider": {"senders": {}}},
        "send.from",
    ),
}


@pytest.mark.parametrize(("how", "place"), FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("namespace", [SHOP, MAIL])
def test_nothing_is_sent_in_a_name_that_is_not_the_providers(how, place, namespace):
    found = compiled(namespace=namespace, **how)
    assert errors(found) == [("NotASender", f"spec.steps[0].{place}")]
    assert found.plans.flows == {}


PERMITTED = {
    "the provider's own address": sending(**{"from": {"address": "a@example.com", "name": "Ana"}}),
    "its domain, in capitals": sending(**{"from": {"address": "B@EXAMPLE.com"}}, replyTo=["c@Example.Com"]),
    "a domain of `senders`, in another script": {
        **sending(**{"from": {"address": "a@b\u00fccher.example"}}),
        "provider": {"senders": {"domains": ["xn--bcher-kva.example"]}},
    },
    "a single address": {
        **sending(**{"from": {"address": "Ana@example.org"}}, replyTo=["ana@example.org"]),
        "provider": {"senders": {"addresses": ["ana@example.org"]}},
    },
}


@pytest.mark.parametrize("how", PERMITTED.values(), ids=PERMITTED.keys())
def test_a_name_that_is_the_providers_may_be_said(how):
    assert errors(compiled(**how)) == []


SPACES = st.sampled_from(["mail", "shop", "sales", "ops"])
VALUES = st.sampled_from(["a", "b"])
LABELS = st.fixed_dictionaries({}, optional={"team": VALUES, "tier": VALUES})
GRANTS = st.one_of(
    st.none(),
    st.just({"from": "Same"}),
    st.just({"from": "All"}),
    LABELS.filter(bool).map(lambda labels: {"from": "Selector", "selector": {"matchLabels": labels}}),
)


def may(grant, namespace, labels):
    """The rule, said once more."""
    if namespace == MAIL or (grant or {}).get("from") == "All":
        return True
    wanted = (grant or {}).get("selector", {}).get("matchLabels")
    return bool(wanted) and all(labels.get(name) == value for name, value in wanted.items())


@settings(deadline=None, max_examples=150)
@given(namespace=SPACES, labels=LABELS, readers=GRANTS, users=GRANTS, transactional=st.booleans())
def test_a_flow_is_in_force_if_and_only_if_the_grants_say_so(
    namespace, labels, readers, users, transactional
):
    found = compiled(
        namespace=namespace,
        labels=labels,
        event={"readers": readers} if readers else {},
        policy={"transactional": transactional, **({"users": users} if users else {})},
        policyRef={"name": "receipts"},
    )
    reads, uses = may(readers, namespace, labels), may(users, namespace, labels)
    assert {reason for reason, _ in errors(found)} == {
        *(() if reads else ("NotAReader",)),
        *(() if uses else ("NotAUser",)),
    }
    assert (f"{namespace}/welcome" in found.plans.flows) is (reads and uses)


def test_offline_a_namespace_without_a_document_has_its_name_for_a_label():
    by_name = {"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    assert errors(compiled(event={"readers": by_name})) == []
    assert errors(compiled(event={"readers": READERS})) == [("NotAReader", "spec.trigger.types[0]")]
    assert errors(compiled(event={"readers": READERS}, labels={"team": "growth"})) == []
