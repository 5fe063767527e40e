"""The flows that a simulated world runs: every kind of step, of re-entry and of end.

`ENTERED_IN_ORDER` are those that people enter by the order of the log alone, whatever happens when, and of
`IN_ORDER` the results, too, depend on nothing else: for them the oracles know what must have come out.
"""

from tests.simulation import floods

from emailflow_api import plans as p

SIGNED_UP = "com.example.user.signed_up"
VIEWED = "com.example.page.viewed"
CART = "com.example.cart.updated"
ORDER = "com.example.order.placed"
HONEST = ("ana@example.com", "Ben@example.com", "cy@example.com")
"""Who is in every world, and has not said that he wants no mail."""
LATER = 3 * 3600
"""Seconds that a cart waits: longer than events come."""

PROGRAMS = {
    "welcome": p.Program(
        trigger=p.Trigger(types=(SIGNED_UP,)),
        steps=(p.Send(name="hello", next=p.END, template="shop/mail", provider="hold"),),
    ),
    "cart": p.Program(
        trigger=p.Trigger(types=(CART,), filters=(p.Cel("event.data.total > 0"),), key="event.data.cart"),
        exits=(
            p.Exit(
                types=(ORDER,),
                filters=(p.Cel("event.data.cart == trigger.data.cart"),),
                result="Converted",
            ),
        ),
        steps=(
            p.Wait(name="later", next="remind", duration="PT3H"),
            p.Send(name="remind", next="again", template="shop/mail", provider="hold", max_lateness="P1D"),
            p.Wait(name="again", next="last", duration="PT2M"),
            p.Send(name="last", next=p.END, template="shop/mail", provider="again"),
        ),
    ),
    "tips": p.Program(
        trigger=p.Trigger(types=(VIEWED,)),
        exits=(p.Exit(types=(ORDER,), result="Bought"),),
        steps=(
            p.Wait(name="pause", next="plan", duration="PT20S"),
            p.Branch(name="plan", next="free", cases=(p.Case("trigger.data.plan == 'pro'", "pro"),)),
            p.Send(name="pro", next="rest", template="shop/mail", provider="again"),
            p.Send(name="free", next="rest", template="shop/mail", provider="hold"),
            p.Wait(name="rest", next="more", duration="PT1M"),
            p.Send(name="more", next="fin", template="shop/mail", provider="hold"),
            p.End(name="fin", result="Taught"),
        ),
    ),
    "nudge": p.Program(
        trigger=p.Trigger(types=(CART,), key="event.data.cart"),
        steps=(
            p.Send(name="nudge", next="pause", template="shop/mail", provider="hold"),
            p.Wait(name="pause", next="nudge-again", duration="PT15S"),
            p.Send(name="nudge-again", next=p.END, template="shop/mail", provider="again"),
        ),
    ),
    "receipt": p.Program(
        trigger=p.Trigger(types=(ORDER,)),
        steps=(p.Send(name="receipt", next=p.END, template="shop/mail", provider="again"),),
    ),
    "thanks": p.Program(
        trigger=p.Trigger(
            types=("dev.emailflow.journey.exited",),
            filters=(
                p.Exact({"source": "/emailflow/mail/default/flows/shop/cart"}),
                p.Cel("event.data.result == 'Converted'"),
            ),
        ),
        steps=(
            p.Wait(name="pause", next="thanks", duration="PT5S"),
            p.Send(name="thanks", next=p.END, template="shop/mail", provider="hold"),
        ),
    ),
}
REENTRY = {
    "welcome": "Once",
    "cart": "Restart",
    "tips": "AfterExit",
    "nudge": "Restart",
    "receipt": "Concurrent",
    "thanks": "Concurrent",
}
POLICIES = {
    "offers": p.PolicyPlan(name="offers", topic="offers", consent="OptOut", users=("shop",)),
    "orders": p.PolicyPlan(
        name="orders", topic="orders", consent="None", transactional=True, users=("shop",)
    ),
}
POLICY = {"receipt": "orders", **floods.POLICY}
IN_ORDER = ("welcome", "cart", "receipt", "thanks")
ENTERED_IN_ORDER = (*IN_ORDER, "nudge")
RETRY = p.Retry(max_attempts=4, backoff="PT10S", max_backoff="PT2M", give_up_after="PT2H")


def programs(*, flooded=False):
    """By flow; `flooded`: also those that only worlds with an adversary have."""
    return {**PROGRAMS, **floods.PROGRAMS} if flooded else PROGRAMS


def plans(shards=1, *, flooded=False):
    """What the world's runtime serves."""
    served = programs(flooded=flooded)
    revisions = {name: p.content_hash(program) for name, program in served.items()}
    flows = {
        f"shop/{name}": p.FlowPlan(
            namespace="shop",
            name=name,
            revision=revision,
            reentry={**REENTRY, **floods.REENTRY}[name],
            policy=POLICY.get(name, "offers"),
        )
        for name, revision in revisions.items()
    }
    return p.Plans(
        runtime=p.RuntimePlan(
            namespace="mail",
            name="default",
            public_url="https://mail.example.com",
            shards=shards,
            namespaces=("shop",),
            undeclared_readers=("shop",),
        ),
        flows=flows,
        programs={revisions[name]: program for name, program in served.items()},
        templates={
            "shop/mail": p.TemplatePlan(
                namespace="shop", name="mail", subject="Hi", format="html", body="<p>{{ journey.step }}</p>"
            )
        },
        providers={name: _provider(name, policy) for name, policy in (("hold", "Hold"), ("again", "Resend"))},
        policies=POLICIES,
    )


def _provider(name, on_unknown):
    return p.ProviderPlan(
        namespace="mail",
        name=name,
        transport=p.Smtp(host="mx.example.com"),
        sender=p.Address("shop@example.com"),
        retry=RETRY,
        on_unknown=on_unknown,
    )
