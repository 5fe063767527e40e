"""Laws: whatever breaks, goes and comes back, nobody is mailed who has said no under the last declared
policy, and every accepted event is decided on."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.jumping_loop import JumpingLoop

from emailflow_api import plans as p
from emailflow_api.plans.carried import carry_over
from emailflow_runtime.core.identity import contact_key

from .shop import ANA, BEN, PLANS, Shop, with_flow

GONE = {
    "policy": lambda plans: replace(plans, policies={}),
    "provider": lambda plans: replace(plans, providers={}),
    "template": lambda plans: replace(plans, templates={}),
    "flow": lambda plans: replace(plans, flows={}, programs={}),
    "suspended": lambda plans: with_flow(plans, suspend=True),
}
BREAKABLE = {
    "flow": "EmailFlow/shop/hello",
    "policy": "ContactPolicy/shop/offers",
    "template": "EmailTemplate/shop/hello",
    "provider": "EmailProvider/shop/sink",
}

away = st.frozensets(st.sampled_from(sorted(GONE)), max_size=3)
changes = st.one_of(
    st.tuples(st.just("gone"), away),
    st.tuples(st.just("broken"), away),
    st.tuples(st.just("unread"), st.just(frozenset[str]())),
    st.tuples(st.just("asked"), st.sampled_from([frozenset({ANA}), frozenset({BEN}), frozenset({ANA, BEN})])),
    st.tuples(st.just("restart"), st.just(frozenset[str]())),
    st.tuples(st.just("secret"), st.sampled_from([frozenset[str](), frozenset({"gone"})])),
)
courses = st.lists(changes, min_size=1, max_size=12)


class Cluster:
    """Objects that come and go, and the operator's plans of them."""

    def __init__(self) -> None:
        self.plans = PLANS

    def change(self, how: str, what: frozenset[str]) -> p.Plans:
        now = PLANS
        for name in sorted(what):
            now = GONE[name](now)
        broken = {BREAKABLE[name] for name in what if name in BREAKABLE} if how == "broken" else ()
        self.plans = carry_over(self.plans, now, broken, at=1_800_000_000_000_000_000)
        return self.plans


async def live(course: Sequence[tuple[str, frozenset[str]]]) -> Shop:
    """The shop after this course, and after ten minutes in which everything is there."""
    shop, cluster = Shop(), Cluster()
    shop.unsubscribe(ANA)
    index = 0
    while index <= len(course):
        async with shop.open():
            while index < len(course):
                how, what = course[index]
                index += 1
                if how == "restart":
                    break
                if how == "asked":
                    shop.sign_up(*sorted(what))
                elif how == "secret":
                    shop.transports.secrets = not what
                elif how == "unread":
                    # Half of PLANS, as somebody reads it who can't decode the rest.
                    await shop.apply(replace(cluster.plans, programs={}))
                else:
                    await shop.apply(cluster.change(how, what))
                await asyncio.sleep(3)
            else:
                index += 1
                shop.transports.secrets = True
                await shop.apply(cluster.change("gone", frozenset()))
                await asyncio.sleep(600)
    return shop


@settings(max_examples=40, deadline=None)
@given(courses)
def test_nobody_who_said_no_is_mailed_and_every_event_is_decided_on(
    course: list[tuple[str, frozenset[str]]],
) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        shop = runner.run(live(course))
    assert ANA not in shop.mailed
    assert not [each for each in shop.broker.letters if each.reason == "PoisonInput"]
    asked = {who for how, what in course if how == "asked" for who in what}
    entered = {contact_key("address", who) for who in asked}
    if not any("flow" in what for _, what in course):
        # Whom a deleted flow lets in no more is decided, too.
        assert {each["contact"] for each in shop.told("journey.entered")} == entered
    ended = len(shop.told("journey.completed")) + len(shop.told("journey.exited"))
    assert len(shop.told("journey.entered")) == ended
    consumer = shop.broker._consumers["shop_hello", 0].standing()
    assert (consumer.pending, consumer.floor) == (0, consumer.delivered)
