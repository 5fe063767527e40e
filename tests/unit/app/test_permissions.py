"""What the runtime itself asks before a flow gets an event or a mail goes out: plans may have changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Asked, Composer, Draft, MailProblem
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.facts import Completed
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.core.journey import Journey, Mail
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.core.program import CompiledProgram
from emailflow_runtime.core.publication import publish
from emailflow_runtime.core.reactions.course import Setting

KIND, DERIVED = "com.example.joined", "dev.emailflow.journey.completed"
ANA = "ana@example.com"
RUNTIME = p.RuntimePlan(namespace="mail", name="default", namespaces=("*",))
RELAY = p.ProviderPlan(
    namespace="mail",
    name="relay",
    transport=p.Smtp(host="mx.example.com"),
    sender=p.Address("shop@example.com"),
    senders=p.Senders(("example.com",)),
)
OPEN = p.PolicyPlan(name="open", topic="open", users=("*",), other_recipients=True)
CLOSED = p.PolicyPlan(name="closed", topic="closed", users=("*",))
HELLO = p.TemplatePlan(namespace="shop", name="hello", subject="Hi", format="html", body="Hi")
SEND = p.Send(name="hello", next=p.END, template="shop/hello", provider="relay")
JOINED = CloudEvent(
    id="1",
    source="/shop",
    type=KIND,
    datacontenttype="application/json",
    data=json.dumps({"email": ANA, "boss": "boss@example.com"}).encode(),
)


def plans(
    step: p.Send = SEND, policy: p.PolicyPlan = OPEN, provider: p.ProviderPlan = RELAY, **more: Any
) -> p.Plans:
    program = p.Program(trigger=p.Trigger(types=(KIND,)), steps=(step,))
    flow = p.FlowPlan(namespace="shop", name="f", revision=p.content_hash(program), policy=policy.name)
    usual: dict[str, Any] = {
        "runtime": RUNTIME,
        "event_types": {KIND: p.EventTypePlan(name="joined", type=KIND, readers=("shop",))},
        "templates": {"shop/hello": HELLO},
    }
    return p.Plans(
        **{**usual, **more},
        flows={"shop/f": flow},
        programs={flow.revision: program},
        providers={provider.name: provider},
        policies={policy.name: policy},
    )


def draft(step: p.Send, policy: p.PolicyPlan | None, provider: p.ProviderPlan) -> Draft:
    program = CompiledProgram(p.Program(trigger=p.Trigger(types=(KIND,)), steps=(step,)))
    flow = p.FlowPlan(namespace="shop", name="f", revision="r")
    mail = Mail(id="m1", step="hello", turn=1, template=step.template, due=0)
    journey = Journey("j1", "shop_f", "c1", "-", "r", JOINED, 0, 1, mail=mail)
    setting = Setting(flow=flow, programs={"r": program}, contact=Contact("c1", email=ANA))
    return Draft(setting, journey, mail, step, program, provider, policy)


def never_asked(_: str) -> Consent:
    return Consent()


async def compose(
    step: p.Send = SEND,
    policy: p.PolicyPlan | None = OPEN,
    provider: p.ProviderPlan = RELAY,
    template: p.TemplatePlan = HELLO,
    asked: Asked = never_asked,
) -> Any:
    catalog = Catalog(plans(step, policy or OPEN, provider, templates={"shop/hello": template}))
    composer = Composer(catalog, InProcessRenderer(), Keyring({"k": b"a key that is long enough"}))
    return await composer.compose(draft(step, policy, provider), 0, None, asked)


async def test_an_author_sees_all_that_is_mapped_of_a_contact() -> None:
    """Contacts are the runtime's: mapping a trait shows it to every author whose flow the contact is in."""
    shows = replace(HELLO, body="{{ contact.email }} {{ contact.traits.salary }} {{ event.data.boss }}")
    known = Contact("c1", email=ANA, traits={"salary": "90k"})
    seen = draft(SEND, OPEN, RELAY)
    seen = seen._replace(setting=replace(seen.setting, contact=known))
    catalog = Catalog(plans(templates={"shop/hello": shows}))
    composer = Composer(catalog, InProcessRenderer(), Keyring({"k": b"a key that is long enough"}))
    message = (await composer.compose(seen, 0, None, never_asked)).outgoing.message.decode()
    assert f"{ANA} 90k boss@example.com" in message


ELSEWHERE = replace(SEND, to="event.data.boss")
REFUSED = {
    "to": (ELSEWHERE, CLOSED, RELAY, HELLO, "OtherRecipientsRefused"),
    "to, without a policy": (ELSEWHERE, None, RELAY, HELLO, "OtherRecipientsRefused"),
    "cc": (replace(SEND, cc=("event.data.boss",)), CLOSED, RELAY, HELLO, "OtherRecipientsRefused"),
    "bcc": (replace(SEND, bcc=("event.data.boss",)), CLOSED, RELAY, HELLO, "OtherRecipientsRefused"),
    "from": (replace(SEND, sender=p.Address("a@bank.example")), OPEN, RELAY, HELLO, "NotASender"),
    "from, of the template": (
        SEND,
        OPEN,
        RELAY,
        replace(HELLO, sender=p.Address("a@bank.example")),
        "NotASender",
    ),
    "from, by a name": (
        replace(SEND, sender=p.Address("b@example.com", "a@bank.example")),
        OPEN,
        RELAY,
        HELLO,
        "NotASender",
    ),
    "from, by the provider that is really used": (
        replace(SEND, sender=p.Address("b@example.com")),
        OPEN,
        replace(RELAY, sender=p.Address("b@example.org"), senders=p.Senders()),
        HELLO,
        "NotASender",
    ),
    "replyTo": (replace(SEND, reply_to=("a@bank.example",)), OPEN, RELAY, HELLO, "NotASender"),
    "replyTo, of the template": (
        SEND,
        OPEN,
        RELAY,
        replace(HELLO, reply_to=("a@bank.example",)),
        "NotASender",
    ),
}


@pytest.mark.parametrize(
    ("step", "policy", "provider", "template", "reason"), REFUSED.values(), ids=REFUSED.keys()
)
async def test_a_mail_that_is_not_permitted_is_not_made(
    step: p.Send, policy: p.PolicyPlan, provider: p.ProviderPlan, template: p.TemplatePlan, reason: str
) -> None:
    with pytest.raises(MailProblem) as problem:
        await compose(step, policy, provider, template)
    assert problem.value.reason == reason
    assert "bank.example" not in str(problem.value)


async def test_a_mail_to_the_contact_needs_no_permission_however_it_is_said() -> None:
    said = replace(SEND, to="contact.email", cc=("event.data.email",))
    assert (await compose(said, CLOSED)).outgoing.recipients == (ANA,)


async def test_with_other_recipients_they_all_get_it() -> None:
    said = replace(ELSEWHERE, cc=("contact.email",))
    assert (await compose(said, OPEN)).outgoing.recipients == ("boss@example.com", ANA)


BOSS = contact_key("address", "boss@example.com")


def boss_left(address: str) -> Consent:
    return Consent({"open": address != BOSS})


@pytest.mark.parametrize("field", ["cc", "bcc"])
async def test_who_gets_a_copy_has_to_consent_as_well(field: str) -> None:
    said, asks = replace(SEND, **{field: ("event.data.boss",)}), replace(OPEN, consent="OptOut")
    assert (await compose(said, asks)).outgoing.recipients == (ANA, "boss@example.com")
    composed = await compose(said, asks, asked=boss_left)
    assert composed.outgoing.recipients == (ANA,)
    assert b"boss" not in composed.outgoing.message.partition(b"\r\n\r\n")[0]
    assert composed.left_out == "Unsubscribed"


async def test_a_copy_that_is_not_wanted_any_more_makes_the_mail_anew() -> None:
    composed = await compose(replace(SEND, cc=("event.data.boss",)), replace(OPEN, consent="OptOut"))
    assert composed.reaches_only_willing(never_asked)
    assert not composed.reaches_only_willing(boss_left)


async def test_a_mail_goes_out_only_by_what_permitted_it() -> None:
    composed = await compose()
    assert composed.still_fits(draft(SEND, OPEN, RELAY))
    assert not composed.still_fits(draft(SEND, OPEN, replace(RELAY, senders=p.Senders(("example.org",)))))
    assert not composed.still_fits(draft(SEND, CLOSED, RELAY))


def test_a_flow_that_is_not_permitted_is_held_like_a_suspended_one() -> None:
    assert not Catalog(plans()).is_suspended("shop_f")
    for refused in (
        plans(policy=replace(OPEN, users=())),
        plans(event_types={}),
        plans(event_types={KIND: p.EventTypePlan(name="joined", type=KIND)}),
        plans(runtime=replace(RUNTIME, namespaces=())),
        plans(ELSEWHERE, CLOSED),
        plans(replace(SEND, sender=p.Address("a@bank.example"))),
    ):
        assert Catalog(refused).is_suspended("shop_f")


def derived(namespace: str, runtime: str = "mail_default") -> CloudEvent:
    fact = Completed(journey="j", number=1, at=0, result="Completed")
    return publish(fact, runtime=runtime, flow=f"{namespace}_f", contact="c", cause=JOINED)


SPACES = st.sampled_from(["mail", "shop", "sales", "ops"])


@given(cause=SPACES, reader=SPACES, readers=st.one_of(st.none(), st.sets(SPACES), st.just({"*"})))
def test_what_a_flow_caused_is_read_in_its_namespace_and_where_the_type_says(
    cause: str, reader: str, readers: set[str] | None
) -> None:
    """`readers` None: no EventType declares the derived type."""
    declared = p.EventTypePlan(name="done", type=DERIVED, readers=tuple(readers or ()))
    catalog = Catalog(plans(event_types={} if readers is None else {DERIVED: declared}))
    flow = p.FlowPlan(namespace=reader, name="g", revision="r")
    granted = {"mail", *(readers or ())}
    expected = reader == cause or reader in granted or "*" in granted
    assert catalog.may_read(flow, derived(cause)) is expected


@given(reader=SPACES, readers=st.sets(SPACES))
def test_no_flow_elsewhere_gets_an_event_of_a_type_with_default_readers(
    reader: str, readers: set[str]
) -> None:
    flow = p.FlowPlan(namespace=reader, name="g", revision="r")
    for types in ({}, {KIND: p.EventTypePlan(name="joined", type=KIND)}):
        assert Catalog(plans(event_types=types)).may_read(flow, JOINED) is (reader == "mail")
    granted = {KIND: p.EventTypePlan(name="joined", type=KIND, readers=tuple(readers))}
    assert Catalog(plans(event_types=granted)).may_read(flow, JOINED) is (reader in {"mail", *readers})


def test_a_source_of_another_runtime_is_nobodys_here() -> None:
    flow = p.FlowPlan(namespace="shop", name="g", revision="r")
    assert Catalog(plans()).may_read(flow, derived("shop"))
    assert not Catalog(plans()).may_read(flow, derived("shop", runtime="mail_other"))
    outside = replace(derived("shop"), source="/emailflow/mail/default/links")
    assert not Catalog(plans()).may_read(flow, outside)
