"""The janitor on a real nats-server: what is over its time goes, what is yet to be read stays a while."""

import asyncio

import pytest
from msgspec.structs import replace

from emailflow_api.jetstream.topology import flow_consumer
from emailflow_api.plans import FlowPlan, Plans, Program, RuntimePlan, Send, Trigger, content_hash
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds
from emailflow_runtime.adapters.jetstream.janitor import JetStreamLogKeeping
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.janitor import Janitor
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent

HOUR = 3600 * 1_000_000_000
CART, ORDER = "com.example.cart", "com.example.order"


class Clock:
    """The real time, moved."""

    def __init__(self):
        self.ahead = 0

    def now(self):
        return SystemClock().now() + self.ahead


class World:
    """EVENTS with a flow that reads carts, and a janitor whose clock can be moved on."""

    def __init__(self, connection, names):
        self.connection = connection
        self.names = names
        self.clock = Clock()
        runtime = RuntimePlan(namespace="mail", name="default", retention_events="PT1H")
        self.losses = []
        self.keeping = JetStreamLogKeeping(connection, names)
        self.janitor = Janitor(
            self.keeping,
            Catalog(Plans(runtime=runtime)),
            self.clock,
            lambda: True,
            note_loss=lambda *loss: self.losses.append(loss),
        )
        program = Program(trigger=Trigger(types=(CART,)), steps=(Send("hello", "end", "shop/hello"),))
        self.flow = FlowPlan(
            namespace="shop", name="cart", revision=content_hash(program), start_from="Earliest"
        )
        self.config = flow_consumer(names, 0, self.flow, [program])
        self.log = JetStreamEventLog(connection, names)
        self.number = 0

    async def start(self):
        await self.connection.api(
            f"CONSUMER.CREATE.{self.names.events}.{self.flow.id}",
            {"stream_name": self.names.events, "config": self.config},
        )
        await self.drain("contacts")

    async def append(self, *kinds):
        entries = []
        for kind in kinds:
            self.number += 1
            entries.append(LogEntry(CloudEvent(id=str(self.number), source="/s", type=kind), "c1", 0))
        await self.log.append(entries)

    async def drain(self, which):
        """Let a reader read and acknowledge everything that there is."""
        feeds = JetStreamFeeds(self.connection, self.names)
        feed = feeds.contacts(0) if which == "contacts" else feeds.flow(self.flow.id, 0)
        standing = await feed.take_over()
        async with asyncio.timeout(20):
            while standing.pending or standing.floor < standing.delivered:
                if standing.pending:
                    feed.acknowledge(await feed.next_batch())
                standing = await feed.standing()
        await feed.close()

    async def first(self):
        return await self.keeping.first_sequence()


@pytest.fixture
async def world(connection, names):
    made = World(connection, names)
    await made.start()
    return made


async def test_what_is_younger_than_the_retention_stays(world):
    await world.append(CART, ORDER)

    await world.janitor.tidy()

    assert await world.first() == 1


async def test_what_everybody_has_read_goes_when_it_is_over_its_time(world):
    await world.append(CART, ORDER, CART)
    await world.drain("contacts")
    await world.drain("flow")
    world.clock.ahead = HOUR + 1_000_000_000

    assert await world.janitor.tidy() == 4

    assert await world.first() == 4
    assert world.losses == []


async def test_only_what_is_over_its_time_goes(world):
    await world.append(CART, CART)
    middle = SystemClock().now()
    await world.append(CART)
    await world.drain("contacts")
    await world.drain("flow")
    world.clock.ahead = middle + HOUR - SystemClock().now()

    await world.janitor.tidy()

    assert await world.first() == 3


async def test_a_flow_that_lags_holds_back_what_it_needs(world):
    await world.append(ORDER, ORDER, CART, ORDER)
    await world.drain("contacts")
    world.clock.ahead = HOUR + 1_000_000_000

    await world.janitor.tidy()

    assert await world.first() == 3
    assert world.losses == []


async def test_a_flow_that_has_nothing_to_read_holds_nothing_back(world):
    await world.append(ORDER, ORDER)
    await world.drain("contacts")
    world.clock.ahead = HOUR + 1_000_000_000

    await world.janitor.tidy()

    assert await world.first() == 3


async def test_after_twice_the_retention_a_lagging_flow_is_behind_with_a_count(world):
    await world.append(CART, ORDER, CART, CART)
    await world.drain("contacts")
    world.clock.ahead = 2 * HOUR + 1_000_000_000

    await world.janitor.tidy()
    await world.janitor.tidy()

    assert await world.first() == 5
    assert world.losses == [("shop_cart", 3)]
    assert world.janitor.lost == {"shop_cart": 3}


async def test_the_reader_of_contacts_holds_back_as_well(world):
    await world.append(ORDER, ORDER)
    world.clock.ahead = HOUR + 1_000_000_000

    await world.janitor.tidy()

    assert await world.first() == 1


async def test_a_flow_goes_on_after_what_it_lost(world):
    await world.append(CART, CART)
    await world.drain("contacts")
    world.clock.ahead = 2 * HOUR + 1_000_000_000
    await world.janitor.tidy()
    await world.append(CART)

    feed = JetStreamFeeds(world.connection, world.names).flow(world.flow.id, 0)
    await feed.take_over()
    async with asyncio.timeout(20):
        batch = await feed.next_batch()
    await feed.close()

    assert [each.sequence for each in batch] == [3]


async def test_a_janitor_that_is_not_in_charge_does_nothing(world):
    await world.append(ORDER)
    await world.drain("contacts")
    world.clock.ahead = 5 * HOUR
    asked = asyncio.Event()

    def in_charge():
        asked.set()
        return False

    janitor = Janitor(world.keeping, world.janitor._catalog, world.clock, in_charge)
    running = asyncio.create_task(janitor.run())
    async with asyncio.timeout(10):
        await asked.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert await world.first() == 1


async def test_readers_above_shard_0_are_told_apart(connection, names):
    runtime = RuntimePlan(namespace="mail", name="default", shards=2)
    program = Program(trigger=Trigger(types=(CART,)), steps=(Send("hello", "end", "shop/hello"),))
    flow = FlowPlan(namespace="shop", name="cart", revision="r", start_from="Earliest")
    config = flow_consumer(names, 1, replace(flow), [program])
    body = {"stream_name": names.events, "config": config}
    await connection.api(f"CONSUMER.CREATE.{names.events}.{config['name']}", body)
    await JetStreamEventLog(connection, names).append(
        [LogEntry(CloudEvent(id="1", source="/s", type=CART), "c1", shard) for shard in range(runtime.shards)]
    )

    readers = await JetStreamLogKeeping(connection, names).lagging(10)

    assert sorted((each.name, each.shard, each.needs) for each in readers) == [
        ("_contacts", 0, 1),
        ("shop_cart", 1, 2),
    ]
