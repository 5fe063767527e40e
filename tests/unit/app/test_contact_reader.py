"""The reader of contacts, on which a whole shard waits: nothing that an event says stops it."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER
from emailflow_api.plans import ContactMapping, EventTypePlan, Plans, RuntimePlan
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.buckets import InMemoryConsents
from emailflow_runtime.adapters.in_memory.dead_letters import InMemoryDeadLetters
from emailflow_runtime.adapters.in_memory.feed import InMemoryFeeds
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.contacts import ContactReader, Contacts
from emailflow_runtime.app.inhand import OneByOne
from emailflow_runtime.app.progress import Reading
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.app.writer import Writer
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.consent import SUBSCRIBED, UNSUBSCRIBED, Consent

KIND = "com.example.seen"
SEEN = EventTypePlan(
    name="seen",
    type=KIND,
    contact=ContactMapping(name="event.data.name", traits={"big": "event.data.big"}),
)
Read = Callable[[], Awaitable[None]]


def said(number: int, kind: str, data: bytes = b'{"address": "a1", "topic": "offers"}') -> LogEntry:
    event = CloudEvent(id=f"e{number}", source="/s", type=kind, datacontenttype="application/json", data=data)
    return LogEntry(event, "c1", 0)


@pytest.fixture
async def broker() -> Broker:
    return Broker(LoopClock(time.time_ns(), zero=asyncio.get_running_loop().time()))


@pytest.fixture
def read(broker: Broker) -> Read:
    """Read everything that stands in the log, as a new owner each time."""

    async def everything() -> None:
        store = InMemoryStateStore(broker.states[0])
        await store.claim()
        writer, reading = Writer(store), Reading()
        reader = ContactReader(
            InMemoryFeeds(broker).contacts(0),
            Contacts(store, writer),
            catalog=Catalog(Plans(RuntimePlan(namespace="mail", name="default"), event_types={KIND: SEEN})),
            writer=writer,
            reading=reading,
            consents=InMemoryConsents(broker),
            dead_letters=InMemoryDeadLetters(broker),
            one_by_one=OneByOne(writer, asyncio.Lock()),
        )
        tasks = [asyncio.create_task(each) for each in (writer.run(), reader.run())]
        try:
            async with asyncio.timeout(5):
                await reading.mark.reached(broker.events.last_sequence)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return everything


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"address": 7, "topic": "offers"}', b"\xff"])
async def test_consent_that_cant_be_read_is_a_dead_letter_and_what_follows_is_read(
    broker: Broker, read: Read, data: bytes
) -> None:
    broker.append(said(1, SUBSCRIBED, data))
    broker.append(said(2, UNSUBSCRIBED))

    await read()

    (letter,) = broker.letters
    assert (letter.reason, letter.origin, letter.event.id) == ("PoisonInput", CONTACTS_CONSUMER, "e1")
    assert InMemoryConsents(broker).of("a1") == Consent({"offers": False})


async def test_a_subscription_that_a_producer_repeats_brings_nobody_back(broker: Broker, read: Read) -> None:
    broker.append(said(1, SUBSCRIBED))
    broker.append(said(2, UNSUBSCRIBED))
    broker.append(said(1, SUBSCRIBED))

    await read()

    assert InMemoryConsents(broker).of("a1") == Consent({"offers": False})


async def test_what_a_contact_has_no_room_for_is_a_dead_letter_and_the_rest_is_known(
    broker: Broker, read: Read
) -> None:
    large = "y" * 900_000
    broker.append(said(1, KIND, b'{"name": "Ana", "big": "small"}'))
    broker.append(said(2, KIND, f'{{"name": "Ann", "big": "{large}"}}'.encode()))
    broker.append(said(3, KIND, f'{{"name": "{large}"}}'.encode()))

    await read()

    assert [(each.reason, each.event.id) for each in broker.letters] == [("TooLarge", "e2")]
    contact = broker.states[0].get("contact", "c1").contact
    assert (contact.name, contact.traits) == ("Ann", {"big": "small"})


async def test_an_event_that_is_read_again_takes_no_later_word_back(
    broker: Broker, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.append(said(1, SUBSCRIBED))
    broker.append(said(2, UNSUBSCRIBED))
    # Its acknowledgements are lost, so the next owner reads all of it again.
    consumer = await broker.consumer(CONTACTS_CONSUMER, 0)
    monkeypatch.setattr(consumer, "acknowledge", lambda _: None)
    await read()
    known: list[Consent] = []
    say = broker.say

    def listening(address: str, topic: str, *, subscribed: bool, at: int, event: int) -> None:
        say(address, topic, subscribed=subscribed, at=at, event=event)
        known.append(InMemoryConsents(broker).of("a1"))

    monkeypatch.setattr(broker, "say", listening)
    await read()

    assert known == [Consent({"offers": False})] * 2
