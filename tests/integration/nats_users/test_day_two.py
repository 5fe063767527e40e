"""What an operator does on the second day needs no more rights than the runtime's own NATS user has."""

import asyncio

from emailflow_api.jetstream.naming import Role
from emailflow_api.plans import FlowPlan, Plans, Program, RuntimePlan, Send, Trigger, content_hash
from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.history import EventHistory
from emailflow_runtime.adapters.jetstream.janitor import JetStreamLogKeeping
from emailflow_runtime.adapters.jetstream.lags import flow_lags
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.janitor import Janitor
from emailflow_runtime.app.redrive import Redriver
from emailflow_runtime.app.stores import DeadLetter, LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.redrive import Redrive
from emailflow_runtime.core.replays import Replay, replay_event

from .conftest import NAMES

CART = "com.example.cart"
PROGRAM = Program(trigger=Trigger(types=(CART,)), steps=(Send("hello", "end", "shop/hello"),))
FLOW = FlowPlan(namespace="shop", name="cart", revision=content_hash(PROGRAM), start_from="Earliest")
PLANS = Plans(
    runtime=RuntimePlan(namespace="mail", name="default", namespaces=("shop",), undeclared_readers=("shop",)),
    flows={"shop/cart": FLOW},
    programs={FLOW.revision: PROGRAM},
)
EVENT = CloudEvent(id="e1", source="/shop", type=CART, data=b"{}")


async def everything(history):
    return [each async for page in history.pages(0, 1, 1000) for each in page]


async def test_the_runtime_s_user_may_do_all_of_it(installation, operator):
    await provision_flows(operator, PLANS)
    await PlanBucket(operator, NAMES.bucket("PLANS")).write(PLANS)
    runtime = await installation.connect(Role.RUNTIME)
    log, reader = JetStreamEventLog(runtime, NAMES), DeadLetterReader(runtime, NAMES)
    history = EventHistory(runtime, NAMES)
    plans = await PlanBucket(runtime, NAMES.bucket("PLANS")).read()
    assert plans is not None
    catalog = Catalog(plans)

    # dead letters
    for number in range(2):
        await DeadLetterStream(runtime, NAMES).keep(
            DeadLetter("PoisonInput", "it failed", FLOW.id, EVENT, f"{number}a" * 8, 1, "hello")
        )
    first, second = [each async for each in reader.letters(origin=FLOW.id)]
    await Redriver(catalog, log, AliasBucket(runtime, NAMES.bucket("ALIASES")), reader).redrive(first)
    await reader.discard(second.sequence)
    assert await reader.letter(first.sequence) is None
    assert [each async for each in reader.letters()] == []
    (stored,) = await everything(history)
    assert stored.redrive == Redrive(FLOW.id, f"{first.sequence}.{first.at}", step="hello", known=True)
    assert stored.event == EVENT

    # replay, lag, and the janitor
    request = replay_event(Replay(FLOW.id, 1, 1), runtime="mail_default", shard=0, end=1)
    await log.append([LogEntry(request, "", 0)])
    assert [(lag.flow, lag.events) for lag in await flow_lags(runtime, NAMES)] == [(FLOW.id, 2)]
    keeping = JetStreamLogKeeping(runtime, NAMES)
    reader_of_all, flow = sorted(await keeping.lagging(10))
    assert (reader_of_all.name, flow.name) == ("_contacts", FLOW.id)
    assert await keeping.unread(flow, 3) == 2
    assert await Janitor(keeping, catalog, SystemClock(), lambda: True).tidy() == 1
    await keeping.purge(2)
    assert await keeping.first_sequence() == 2
    await runtime.close()


async def test_what_was_no_event_is_shown_as_it_came(installation, operator):
    runtime = await installation.connect(Role.RUNTIME)
    headers = {
        "EmailFlow-Reason": "InvalidData",
        "EmailFlow-Origin": "_receiver",
        "EmailFlow-Message": "no JSON",
    }
    subject = NAMES.dead_letter_subject("InvalidData", "_receiver")
    await runtime.request(
        subject, b"\xff{nonsense", {**headers, "Content-Type": "application/cloudevents+json"}
    )

    async with asyncio.timeout(20):
        (letter,) = [each async for each in DeadLetterReader(runtime, NAMES).letters(reason="InvalidData")]

    assert (letter.event, letter.raw, letter.origin) == (None, b"\xff{nonsense", "_receiver")
    assert letter.message == "no JSON"
    await runtime.close()
