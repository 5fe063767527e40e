"""What metrics say of mails and journeys, told by the facts of one."""

import pytest

from emailflow_runtime.adapters.metrics import Declared, FlowLag, Metrics
from emailflow_runtime.app.lanes import LaneState
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.evolve import evolve

SECOND = 1_000_000_000
NOON = 1_795_521_600 * SECOND
EVENT = CloudEvent(id="1", source="/shop", type="com.example.cart", data=b'{"email": "ana@example.com"}')


class Story:
    """Tells the metrics of one journey, fact by fact."""

    def __init__(self, metrics):
        self.metrics = metrics
        self.journey = None
        self.number = 0

    def tell(self, kind, at=0.0, **fields):
        self.number += 1
        moment = NOON + int(at * SECOND)
        fact = kind(journey="j1", number=self.number, at=moment, **fields)
        before, self.journey = self.journey, evolve(self.journey, fact)
        self.metrics.folded(before, self.journey, fact)

    def enter(self, flow="shop_cart"):
        self.tell(f.Entered, flow=flow, contact="c1", instance="-", revision="r1", event=EVENT)

    def request(self, at=0.0):
        due = NOON + int(at * SECOND)
        self.tell(f.MailRequested, at, path=("remind",), mail="m1", turn=1, template="shop/remind", due=due)

    def attempt(self, at=0.0, provider="ses"):
        start_by = NOON + int((at + 5) * SECOND)
        self.tell(
            f.MailAttempted,
            at,
            mail="m1",
            provider=provider,
            attempt=1,
            start_by=start_by,
            settled_by=start_by + 30 * SECOND,
        )


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def story(metrics):
    return Story(metrics)


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"emailflow_{name}", labels)


def test_an_accepted_mail_counts_with_its_latencies(metrics, story):
    story.enter()
    story.request()
    story.attempt(at=0.25)
    story.tell(f.MailAccepted, 1.0, mail="m1", provider="ses", attempt=1)

    assert value(metrics, "mails_total", outcome="accepted", provider="ses", reason="") == 1
    assert value(metrics, "flow_mails_total", flow="shop/cart", outcome="accepted") == 1
    assert value(metrics, "mail_latency_seconds_sum", provider="ses") == 1.0
    assert value(metrics, "hand_over_seconds_sum", provider="ses") == 0.75


def test_an_unknown_outcome_counts_with_its_reason(metrics, story):
    story.enter()
    story.request()
    story.attempt()
    story.tell(f.MailUnknown, 2.0, mail="m1", provider="ses", attempt=1, reason="ConnectionLost")

    assert value(metrics, "mails_total", outcome="unknown", provider="ses", reason="ConnectionLost") == 1
    assert value(metrics, "mail_latency_seconds_count", provider="ses") is None


def test_a_mail_that_no_provider_got_counts_without_one(metrics, story):
    story.enter()
    story.request()
    story.tell(f.MailSkipped, mail="m1", reason="NoConsent")

    assert value(metrics, "mails_total", outcome="skipped", provider="", reason="NoConsent") == 1


def test_a_timer_shows_how_late_it_was(metrics, story):
    story.enter()
    story.tell(f.Advanced, path=("wait",), wake_at=NOON + 60 * SECOND, timer=1)
    story.request(at=60.5)

    assert value(metrics, "timer_lateness_seconds_sum") == 0.5


def test_an_exit_during_a_wait_is_no_late_timer(metrics, story):
    story.enter()
    story.tell(f.Advanced, path=("wait",), wake_at=NOON + 60 * SECOND, timer=1)
    story.tell(f.Exited, 1.0, result="Left", reason="ExitEvent")

    assert value(metrics, "timer_lateness_seconds_count") == 0
    assert value(metrics, "journeys_total", flow="shop/cart", what="exited") == 1


async def test_gauges_are_asked_for_when_the_page_is(metrics):
    lags = [FlowLag("shop_cart", 0, 7), FlowLag("shop_gone", 0, 1)]

    async def asked():
        return lags

    metrics.lags = asked
    metrics.connected = lambda: True
    metrics.relaying(0, lambda: 3)
    metrics.owned(0, held=True)
    first = await metrics.page()
    lags.pop()
    second = await metrics.page()

    assert b'emailflow_flow_lag_events{flow="shop/cart",shard="0"} 7.0' in first
    assert b'flow="shop/gone"' in first
    assert b'flow="shop/gone"' not in second
    assert b'emailflow_relay_backlog_facts{shard="0"} 3.0' in second
    assert b'emailflow_shard_owned{shard="0"} 1.0' in second
    assert b"emailflow_nats_connected 1.0" in second


async def test_lanes_and_take_overs_are_shown(metrics):
    metrics.lanes = lambda: [LaneState("relay", closed=False, places=8, under_way=3, waiting=40)]
    metrics.taken_over(0, clean=False, seconds=0.2)
    metrics.lost(0)
    page = await metrics.page()

    assert b'emailflow_provider_up{provider="relay"} 0.0' in page
    assert b'emailflow_provider_places{provider="relay"} 8.0' in page
    assert b'emailflow_provider_mails{provider="relay",state="waiting"} 40.0' in page
    assert b'emailflow_provider_mails{provider="relay",state="under_way"} 3.0' in page
    assert b'emailflow_shard_takeovers_total{end="unclean",shard="0"} 1.0' in page
    assert b"emailflow_shard_takeover_seconds_count 1.0" in page
    assert b'emailflow_shards_lost_total{shard="0"} 1.0' in page


def tell_everything(metrics, flow, provider):
    """One mail of a flow by a provider, and all else that is labelled by either."""
    story = Story(metrics)
    story.enter(flow)
    story.request()
    story.attempt(provider=provider)
    story.tell(f.MailAccepted, 1.0, mail="m1", provider=provider, attempt=1)
    metrics.behind_retention(flow, 3)
    metrics.series.dead_letters("Poison", flow.replace("_", "/")).inc()


async def test_what_a_provider_had_goes_with_it(metrics):
    lanes = [LaneState(name, closed=False, places=1, under_way=0, waiting=0) for name in ("gone", "ses")]
    metrics.lanes = lambda: lanes
    metrics.declared = lambda: Declared(["shop_cart"], ["ses", "gone"])
    tell_everything(metrics, "shop_cart", "gone")
    tell_everything(metrics, "shop_cart", "ses")
    assert b'emailflow_provider_up{provider="gone"} 0.0' in await metrics.page()

    metrics.declared = lambda: Declared(["shop_cart"], ["ses"])
    page = await metrics.page()

    assert b'provider="gone"' not in page
    assert b'emailflow_mails_total{outcome="accepted",provider="ses",reason=""} 1.0' in page
    assert b'emailflow_provider_up{provider="ses"} 0.0' in page


async def test_what_a_flow_had_goes_with_it(metrics):
    metrics.declared = lambda: Declared(["shop_cart"], ["ses"])
    tell_everything(metrics, "shop_cart", "ses")
    tell_everything(metrics, "shop_gone", "ses")

    page = await metrics.page()

    assert b"shop/gone" not in page
    assert b'emailflow_flow_mails_total{flow="shop/cart",outcome="accepted"} 1.0' in page


async def test_what_belongs_to_no_flow_and_no_provider_stays(metrics, story):
    metrics.declared = lambda: Declared([], [])
    metrics.series.dead_letters("InvalidEvent", "_receiver").inc()
    story.enter()
    story.request()
    story.tell(f.MailSkipped, mail="m1", reason="NoConsent")

    page = await metrics.page()

    assert b'emailflow_dead_letters_total{origin="_receiver",reason="InvalidEvent"} 1.0' in page
    assert b'emailflow_mails_total{outcome="skipped",provider="",reason="NoConsent"} 1.0' in page


async def test_flows_that_come_and_go_don_t_add_up(metrics):
    sizes = set()
    for generation in range(10):
        flows = [f"shop_flow-{generation}-{number:03}" for number in range(1000)]
        metrics.declared = lambda flows=flows: Declared(flows, ["ses"])
        for flow in flows:
            tell_everything(metrics, flow, "ses")
        page = await metrics.page()
        sizes.add(sum(b'flow="' in line or b'origin="' in line for line in page.splitlines()))

    assert sizes == {4 * 1000}


async def test_mails_that_wait_for_what_is_not_there_are_shown_while_their_shard_is_owned(metrics):
    for shard, count in ((0, 3), (1, 2)):
        metrics.owned(shard, held=True)
        metrics.holding(shard, lambda count=count: {("shop_cart", "PolicyNotFound"): count})
    assert b'emailflow_held_mails{flow="shop/cart",reason="PolicyNotFound"} 5.0' in await metrics.page()
    for shard in (0, 1):
        metrics.owned(shard, held=False)
    assert b"emailflow_held_mails{" not in await metrics.page()
