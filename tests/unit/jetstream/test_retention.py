"""How long what JetStream holds is kept, as the EmailRuntime says."""

from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.topology import REPLAY_REQUESTED, SECOND, flow_consumer, streams
from emailflow_api.plans import FlowPlan, Program, RuntimePlan, Send, Trigger

NAMES = Names("mail", "default")


def configs(**retention):
    made = streams(RuntimePlan(namespace="mail", name="default", **retention))
    return {config["name"]: config for config in made}


def test_dead_letters_are_kept_for_their_own_time():
    assert configs(retention_dead_letters="P7D")[NAMES.dead_letters]["max_age"] == 7 * 86_400 * SECOND


def test_events_have_no_age_of_their_own():
    assert "max_age" not in configs(retention_events="PT1H")[NAMES.events]


def test_every_flow_hears_of_replays():
    program = Program(trigger=Trigger(types=("com.example.a",)), steps=(Send("hello", "end", "shop/hello"),))
    flow = FlowPlan(namespace="shop", name="cart", revision="r")

    filters = flow_consumer(NAMES, 0, flow, [program])["filter_subjects"]

    assert filters == [NAMES.event_subject(0, kind) for kind in ("com.example.a", REPLAY_REQUESTED)]
