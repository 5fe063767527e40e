"""A shard on ports in memory: what it waits for before it sends, and how it ends."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.buckets import InMemoryConsents
from emailflow_runtime.adapters.in_memory.dead_letters import InMemoryDeadLetters
from emailflow_runtime.adapters.in_memory.event_log import InMemoryEventLog
from emailflow_runtime.adapters.in_memory.feed import InMemoryFeeds
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.mail_transport import InMemoryTransport, Provider
from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.breaker import TRIP_AFTER
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Composer
from emailflow_runtime.app.ports import MailTransport
from emailflow_runtime.app.shard import Outside, Shard
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.errors import EpochLost

WITHIN = 20
KIND = "com.example.signed_up"
ANA, BEN = "ana@example.com", "ben@example.com"
PROGRAM = p.Program(
    trigger=p.Trigger(types=(KIND,)),
    steps=(p.Send(name="hello", next=p.END, template="shop/hello", provider="sink"),),
)
REVISION = p.content_hash(PROGRAM)
PLANS = p.Plans(
    runtime=p.RuntimePlan(
        namespace="mail",
        name="default",
        namespaces=("shop",),
        undeclared_readers=("shop",),
        public_url="https://mail.example.com",
    ),
    flows={"shop/hello": p.FlowPlan(namespace="shop", name="hello", revision=REVISION)},
    programs={REVISION: PROGRAM},
    templates={
        "shop/hello": p.TemplatePlan(namespace="shop", name="hello", subject="Hi", format="html", body="Hi")
    },
    providers={
        "sink": p.ProviderPlan(
            namespace="mail",
            name="sink",
            transport=p.Smtp(host="mx.example.com"),
            sender=p.Address("shop@example.com"),
        )
    },
)


class Mirror(InMemoryConsents):
    """What a process has heard: nothing, before it catches up."""

    def __init__(self, broker: Broker) -> None:
        super().__init__(broker)
        self.may_catch_up = asyncio.Event()
        self.asked = asyncio.Event()
        self._current = False

    def of(self, address: str) -> Consent:
        return super().of(address) if self._current else Consent()

    async def catch_up(self) -> None:
        self.asked.set()
        await self.may_catch_up.wait()
        self._current = True


class Transports:
    """Everything goes to one provider."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.making: Callable[[], None] = lambda: None
        """Called when a mail is about to be made."""
        self.rotate()

    def rotate(self) -> None:
        """The credentials are other ones."""
        self._transport = InMemoryTransport(self._provider)

    def transport(self, _: p.ProviderPlan) -> MailTransport:
        return self._transport

    def signer(self, _: p.ProviderPlan) -> None:
        self.making()


class House:
    """One shard's outside, and owners of it."""

    def __init__(self) -> None:
        self.clock = LoopClock(time.time_ns(), zero=asyncio.get_running_loop().time())
        self.broker = Broker(self.clock)
        self.consents = Mirror(self.broker)
        self.provider = Provider()
        self.transports = Transports(self.provider)

    def owner(self) -> Shard:
        catalog = self.catalog = Catalog(PLANS)
        outside = Outside(
            catalog=catalog,
            log=InMemoryEventLog(self.broker),
            feeds=InMemoryFeeds(self.broker),
            dead_letters=InMemoryDeadLetters(self.broker),
            composer=Composer(catalog, InProcessRenderer(), Keyring({"k": b"a key that is long enough"})),
            transports=self.transports,
            consents=self.consents,
        )
        return Shard(0, InMemoryStateStore(self.broker.states[0]), outside)

    def sign_up(self, address: str) -> None:
        event = CloudEvent(
            id=address,
            source="/s",
            type=KIND,
            datacontenttype="application/json",
            data=json.dumps({"email": address}).encode(),
        )
        self.broker.append(LogEntry(event, contact_key("address", address), 0))

    async def told(self, kind: str, times: int = 1) -> list[str]:
        """The addresses of which this fact is told, once it has been so often."""
        async with asyncio.timeout(WITHIN):
            while len(found := self._told(kind)) < times:  # noqa: ASYNC110 - tells what is, not when
                await asyncio.sleep(0)
        return found

    def _told(self, kind: str) -> list[str]:
        entries = [each.content for each in self.broker.events.messages]
        return [each.event.subject for each in entries if each.event.type == f"dev.emailflow.message.{kind}"]


@pytest.fixture
async def house() -> House:
    made = House()
    await made.broker.provide_flow("shop_hello", [KIND])
    return made


@pytest.fixture
async def running(house: House) -> AsyncIterator[asyncio.Task[None]]:
    """An owner at work."""
    task = asyncio.create_task(house.owner().run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_new_owner_sends_nothing_before_it_has_heard_who_wants_no_mail(
    house: House, running: asyncio.Task[None]
) -> None:
    house.broker.say(contact_key("address", BEN), "*", subscribed=False, at=1)
    house.sign_up(BEN)
    async with asyncio.timeout(WITHIN):
        await house.consents.asked.wait()

    house.consents.may_catch_up.set()

    assert await house.told("skipped")
    assert house.provider.received == []


async def test_an_event_that_a_flow_may_not_read_has_never_been_there_for_it() -> None:
    house = House()
    kind = "dev.emailflow.journey.completed"
    program = replace(PROGRAM, trigger=p.Trigger(types=(kind,)))
    revision = p.content_hash(program)
    flow = replace(PLANS.flows["shop/hello"], revision=revision)
    shard = house.owner()
    await house.broker.provide_flow("shop_hello", [kind])
    await house.catalog.replace(replace(PLANS, flows={"shop/hello": flow}, programs={revision: program}))
    house.consents.may_catch_up.set()
    task = asyncio.create_task(shard.run())
    for cause, address in (("sales", ANA), ("shop", BEN)):
        source = f"/emailflow/mail/default/flows/{cause}/f"
        contact = contact_key("address", address)
        event = CloudEvent(id=cause, source=source, type=kind, subject=contact)
        house.broker.append(LogEntry(event, contact, 0))
    # Ana's event stands before Ben's.
    assert await house.told("requested") == [contact_key("address", BEN)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_new_owner_sends_to_everybody_else(house: House, running: asyncio.Task[None]) -> None:
    house.consents.may_catch_up.set()
    house.sign_up(ANA)

    assert await house.told("accepted")
    assert [each.recipients for each in house.provider.received] == [(ANA,)]


async def test_an_owner_that_has_lost_its_shard_stops_in_good_order(house: House) -> None:
    house.consents.may_catch_up.set()
    owner = house.owner()
    running = asyncio.create_task(owner.run())
    async with asyncio.timeout(WITHIN):
        await owner.ready.wait()
        await InMemoryStateStore(house.broker.states[0]).claim()
        house.sign_up(ANA)
        with pytest.raises(EpochLost):
            await running

        await owner.stop()


async def test_an_owner_that_loses_its_shard_while_it_stops_ends_in_good_order(house: House) -> None:
    house.consents.may_catch_up.set()
    house.provider.mood = "hang"
    house.sign_up(ANA)
    owner = house.owner()
    running = asyncio.create_task(owner.run())
    async with asyncio.timeout(WITHIN):
        await house.provider.reached.wait()
        stopping = asyncio.create_task(owner.stop())
        await InMemoryStateStore(house.broker.states[0]).claim()
        house.sign_up(BEN)
        with pytest.raises(EpochLost):
            await running

        await stopping
    assert house.provider.received == []


async def test_a_provider_that_is_down_gets_the_next_mail_as_soon_as_its_credentials_are_others(
    house: House, running: asyncio.Task[None]
) -> None:
    house.consents.may_catch_up.set()
    house.provider.mood = "vanish"
    for number in range(TRIP_AFTER):
        house.sign_up(f"u{number}@example.com")
    await house.told("unknown", TRIP_AFTER)
    house.provider.mood = "accept"

    house.transports.rotate()
    house.sign_up(ANA)

    assert await house.told("accepted")
    assert await house.told("deferred", 0) == []
    assert [each.recipients for each in house.provider.received] == [(ANA,)]


async def test_a_mail_that_was_being_made_when_its_flow_was_suspended_waits(
    house: House, running: asyncio.Task[None]
) -> None:
    house.consents.may_catch_up.set()
    suspended = {name: replace(flow, suspend=True) for name, flow in PLANS.flows.items()}
    changes: list[asyncio.Task[None]] = []

    def suspend() -> None:
        if not changes:
            changing = house.catalog.replace(replace(PLANS, flows=suspended))
            changes.append(asyncio.create_task(changing))

    house.transports.making = suspend
    house.sign_up(ANA)
    await house.told("requested")
    for _ in range(300):
        await asyncio.sleep(0)
    assert changes
    assert house.provider.received == []

    await house.catalog.replace(PLANS)

    assert await house.told("accepted")
    assert len(house.provider.received) == 1
