"""What the ports' contracts are held against: the fake in memory, and JetStream on a real nats-server.

`process()` gives the ports as one process has them; a second one shares what lasts with the first.
"""

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest
from tests.integration.jetstream.conftest import RUNTIME, connected, running_server

from emailflow_api import plans as p
from emailflow_api.jetstream.naming import CONTACTS_CONSUMER, Names
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.buckets import InMemoryAliases, InMemoryConsents, InMemoryPlans
from emailflow_runtime.adapters.in_memory.dead_letters import InMemoryDeadLetters
from emailflow_runtime.adapters.in_memory.event_log import InMemoryEventLog
from emailflow_runtime.adapters.in_memory.feed import InMemoryFeeds
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import DeadLetter
from emailflow_runtime.core.cloudevents import nats


class Process(NamedTuple):
    """The ports of one process. `state` is not claimed yet."""

    log: Any
    state: Any
    feeds: Any
    dead_letters: Any
    aliases: Any
    consents: Any
    plans: Any


class InMemory:
    """Everything in memory."""

    def __init__(self):
        self._broker = Broker(LoopClock(time.time_ns(), zero=asyncio.get_running_loop().time()))

    async def process(self):
        broker = self._broker
        return Process(
            InMemoryEventLog(broker),
            InMemoryStateStore(broker.states[0]),
            InMemoryFeeds(broker),
            InMemoryDeadLetters(broker),
            InMemoryAliases(broker),
            InMemoryConsents(broker),
            InMemoryPlans(broker),
        )

    async def provide_flow(self, name, kind):
        await self._broker.provide_flow(name, [kind])

    async def letters(self):
        return list(self._broker.letters)

    async def store(self, kind, data):
        """As somebody does who has the rights to write EVENTS, and writes what is no event."""
        self._broker.events.append(f"0.{kind}", data)

    async def unread(self):
        """The dead letters of what was no event: reason, origin, sequence in EVENTS, bytes."""
        return [tuple(each) for each in self._broker.unread]

    async def unpin_contacts(self):
        (await self._broker.consumer(CONTACTS_CONSUMER, 0)).unpin()


class OnJetStream:
    """A nats-server for each test, and a connection for each process."""

    def __init__(self, stack, server, connection):
        self._stack = stack
        self._server = server
        self._connection = connection
        self._names = Names(RUNTIME.namespace, RUNTIME.name)

    async def process(self):
        connection = await self._stack.enter_async_context(connected(self._server, "process"))
        names = self._names
        consents = ConsentBucket(connection, names.bucket("CONSENT"))
        await self._stack.enter_async_context(followed(consents))
        return Process(
            JetStreamEventLog(connection, names),
            JetStreamStateStore(connection, names, 0),
            JetStreamFeeds(connection, names),
            DeadLetterStream(connection, names),
            AliasBucket(connection, names.bucket("ALIASES")),
            consents,
            PlanBucket(connection, names.bucket("PLANS")),
        )

    async def provide_flow(self, name, kind):
        namespace, _, flow = name.partition("_")
        program = p.Program(trigger=p.Trigger(types=(kind,)), steps=(p.End(name="fin"),))
        revision = p.content_hash(program)
        plan = p.FlowPlan(namespace=namespace, name=flow, revision=revision)
        made = p.Plans(RUNTIME, flows={f"{namespace}/{flow}": plan}, programs={revision: program})
        await provision_flows(self._connection, made)

    async def letters(self):
        stream = self._names.dead_letters
        info = await self._connection.api(f"STREAM.INFO.{stream}")
        found = [
            await self._connection.direct_get(stream, {"seq": sequence})
            for sequence in range(1, info["state"]["last_seq"] + 1)
        ]
        return [letter_in(message) for message in found]

    async def store(self, kind, data):
        await self._connection.request(self._names.event_subject(0, kind), data)

    async def unread(self):
        reader = DeadLetterReader(self._connection, self._names)
        found = [each async for each in reader.letters()]
        return [(each.reason, each.origin, each.log_sequence, each.raw) for each in found]

    async def unpin_contacts(self):
        subject = f"CONSUMER.UNPIN.{self._names.events}.{CONTACTS_CONSUMER}"
        await self._connection.api(subject, {"group": "owner"})


def letter_in(message):
    headers = message.headers
    return DeadLetter(
        headers["EmailFlow-Reason"],
        headers["EmailFlow-Message"],
        headers["EmailFlow-Origin"],
        nats.decode(headers, message.data),
        headers.get("EmailFlow-Contact", ""),
        int(headers["EmailFlow-Sequence"]),
    )


@asynccontextmanager
async def followed(consents):
    following = asyncio.create_task(consents.follow())
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@asynccontextmanager
async def in_memory(folder):
    yield InMemory()


@asynccontextmanager
async def on_jetstream(folder):
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(folder))
        connection = await stack.enter_async_context(connected(server, "test", provision=True))
        yield OnJetStream(stack, server, connection)


@pytest.fixture(params=[in_memory, on_jetstream], ids=["in memory", "jetstream"])
async def backend(request, tmp_path):
    """Where the ports lead to."""
    async with request.param(tmp_path) as made:
        yield made


@pytest.fixture
async def process(backend):
    """The ports as one process has them."""
    return await backend.process()


@pytest.fixture
async def other(backend, process):
    """The ports as a second process has them."""
    return await backend.process()
