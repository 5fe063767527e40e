"""What was committed is read back, and only the last owner commits."""

import asyncio
import time

import pytest
from msgspec.structs import replace

from emailflow_runtime.app.stores import (
    InHand,
    PutContact,
    PutInHand,
    PutRecord,
    PutRelayPosition,
    PutSeen,
    RecordHead,
)
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.facts import Advanced
from emailflow_runtime.core.journey import Enrolment, Journey, Mail, Record
from emailflow_runtime.core.remembering import ENDED
from emailflow_runtime.errors import EpochLost


@pytest.fixture
async def store(process):
    await process.state.claim()
    return process.state


def journey(contact, **fields):
    event = CloudEvent(id="e1", source="/shop", type="com.example.cart.updated", data=b'{"total":1}')
    given = {
        "id": "j1",
        "flow": "shop_cart",
        "contact": contact,
        "instance": "i1",
        "revision": "r1",
        "event": event,
        "at": 5,
        "sequence": 7,
    }
    return Journey(**{**given, **fields})


def place(contact):
    return ("shop_cart", contact, "i1")


def contacts(count):
    return [PutContact(Contact(key=f"c{number}", email=f"c{number}@example.com")) for number in range(count)]


@pytest.mark.parametrize("count", [1, 8, 9, 300])
async def test_a_commit_is_read_back_by_a_later_owner(store, other, count):
    changes = contacts(count)

    await store.commit(changes)

    found = await other.state.contacts(change.contact.key for change in changes)
    assert found == {change.contact.key: change.contact for change in changes}


async def test_the_store_tells_its_time_and_it_goes_on(store):
    before = await store.now()
    await store.commit(contacts(1))

    assert abs(before - time.time_ns()) < 3600 * 1_000_000_000
    assert await store.now() > before


async def test_a_stale_owner_is_not_told_the_time(store, other):
    await other.state.claim()

    with pytest.raises(EpochLost):
        await store.now()
    assert await other.state.now()


@pytest.mark.parametrize("count", [1, 8, 9, 300])
async def test_a_stale_owner_stores_nothing(store, other, count):
    await other.state.claim()

    with pytest.raises(EpochLost):
        await store.commit(contacts(count))

    assert await other.state.contacts(change.contact.key for change in contacts(count)) == {}


async def test_of_many_claims_at_once_one_owner_remains(backend):
    stores = [(await backend.process()).state for _ in range(5)]
    async with asyncio.timeout(10):
        await asyncio.gather(*(each.claim() for each in stores))

    results = await asyncio.gather(*(each.commit(contacts(1)) for each in stores), return_exceptions=True)

    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, EpochLost) for result in results) == 4


async def test_a_record_is_read_back_whole(store):
    fact = Advanced(journey="j1", number=2, at=5, path=("cool-off",), wake_at=9, timer=1)
    first = Record(journey("c1", facts=2), facts=(fact,))
    second = Record(journey("c1", id="j2", instance="i2", sequence=9))
    elsewhere = Record(journey("c2"))
    await store.commit([PutRecord(first), PutRecord(second), PutRecord(elsewhere)])

    places = [("shop_cart", "c1", each) for each in ("i1", "i2", "unknown")]

    assert await store.records(places) == {places[0]: first, places[1]: second}


async def test_an_enrolment_has_its_journeys_and_what_was_seen(store):
    first, second = journey("c1"), journey("c1", id="j2", instance="i2", sequence=9)
    hashes = (3, 2**64 - 1, 1)
    await store.commit(
        [PutRecord(Record(first)), PutRecord(Record(second)), PutSeen("shop_cart", "c1", hashes)]
    )

    found = await store.enrolments([("shop_cart", "c1"), ("shop_cart", "unknown")])

    assert found == {
        ("shop_cart", "c1"): Enrolment(
            flow="shop_cart",
            contact="c1",
            journeys={"i1": first, "i2": second},
            seen=dict.fromkeys(hashes),
            considered=9,
        )
    }
    assert list(found["shop_cart", "c1"].seen) == list(hashes)


async def test_only_the_last_state_of_a_record_is_there(store):
    await store.commit([PutRecord(Record(journey("c1")))])
    await store.commit([PutRecord(Record(journey("c1", sequence=8, step="remind")))])

    found = await store.records([place("c1")])

    assert found[place("c1")].journey.step == "remind"


async def test_a_finished_record_expires(store):
    await store.commit([PutRecord(Record(journey("c1", running=False)), expires=1)])
    assert await store.records([place("c1")])

    async with asyncio.timeout(15):
        while await store.records([place("c1")]):  # noqa: ASYNC110 - expiry tells nobody
            await asyncio.sleep(0.1)


async def test_a_record_without_expiry_outlives_one_with(store):
    await store.commit([PutRecord(Record(journey("c1", running=False)), expires=1)])
    await store.commit([PutRecord(Record(journey("c1", running=False, sequence=8)))])
    await store.commit([PutRecord(Record(journey("c2", running=False)), expires=1)])

    async with asyncio.timeout(15):
        while await store.records([place("c2")]):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.1)

    assert await store.records([place("c1")])


async def test_sequences_grow_from_commit_to_commit(store):
    found = [await store.commit(contacts(count)) for count in (1, 9, 2)]

    assert found == sorted(set(found))


async def put_journeys(store, count, **fields):
    """Journeys of one contact, so many that no single answer holds them."""
    for start in range(0, count, 500):
        each = range(start, min(start + 500, count))
        made = [journey("c1", id=f"j{n}", instance=f"i{n}", sequence=n + 1, **fields) for n in each]
        await store.commit([PutRecord(Record(one)) for one in made])


async def test_all_open_journeys_of_one_contact_are_read_however_many_there_are(store, other):
    await put_journeys(store, 2_500)
    await store.commit([PutRecord(Record(journey("c2")))])

    found = await other.state.enrolments([("shop_cart", "c1"), ("shop_cart", "c2")])

    assert found["shop_cart", "c1"].journeys.keys() == {f"i{n}" for n in range(2_500)}
    assert found["shop_cart", "c1"].considered == 2_500
    assert found["shop_cart", "c2"].journeys.keys() == {"i1"}


async def test_ended_journeys_of_one_contact_are_read_as_far_as_memory_keeps_them(store, other):
    await put_journeys(store, 1_500, running=False)
    await store.commit([PutRecord(Record(journey("c1", id="open", instance="open", sequence=1)))])

    enrolment = (await other.state.enrolments([("shop_cart", "c1")]))["shop_cart", "c1"]

    assert [each.id for each in enrolment.journeys.values() if each.running] == ["open"]
    assert len(enrolment.ended) == ENDED == len(enrolment.journeys) - 1
    assert all(enrolment.journeys[each].event.data is None for each in enrolment.ended)
    assert enrolment.partial
    assert enrolment.considered == 1_500


async def test_what_many_records_of_one_contact_hold_is_read_whole_however_large(store, other):
    event = CloudEvent(id="e1", source="/shop", type="com.example.cart.updated", data=b"x" * 500_000)
    for number in range(40):
        await store.commit([PutRecord(Record(journey("c1", instance=f"i{number}", event=event)))])

    found = await other.state.enrolments([("shop_cart", "c1")])

    assert len(found["shop_cart", "c1"].journeys) == 40


async def test_the_relay_position_is_the_last_one_committed(store):
    assert await store.relay_position() == 0

    await store.commit([PutRelayPosition(41)])
    await store.commit([PutRelayPosition(42)])

    assert await store.relay_position() == 42


async def test_a_scan_tells_where_each_record_stands_and_what_it_waits_for(store):
    mail = Mail(id="m1", step="remind", turn=1, template="shop/cart", due=5, status="Attempted")
    settled = Mail(id="m2", step="remind", turn=1, template="shop/cart", due=5, status="Accepted")
    waiting = await store.commit([PutRecord(Record(journey("c1", step="rest", wake_at=2**62)))])
    sending = await store.commit([PutRecord(Record(journey("c2", mail=mail)))])
    done = await store.commit([PutRecord(Record(journey("c3", mail=settled, running=False)))])
    missing = replace(mail, status="Deferred", held="PolicyNotFound")
    held = await store.commit([PutRecord(Record(journey("c4", mail=missing, wake_at=2**62)))])

    heads = [head async for head in store.scan()]

    assert heads == [
        RecordHead("shop_cart", "c1", "i1", waiting, 2**62, "", "r1", "rest"),
        RecordHead("shop_cart", "c2", "i1", sending, 0, "Attempted", "r1"),
        RecordHead("shop_cart", "c3", "i1", done, 0, ""),
        RecordHead("shop_cart", "c4", "i1", held, 2**62, "Deferred", "r1", "", "PolicyNotFound"),
    ]


async def test_a_scan_goes_past_its_page(store):
    for start in (0, 900):
        records = [PutRecord(Record(journey(f"c{n}"))) for n in range(start, start + 900)]
        await store.commit(records)

    found = [head.contact async for head in store.scan()]

    assert found == [f"c{n}" for n in range(1800)]
    assert len(await store.records([place(contact) for contact in found])) == 1800


async def test_a_scan_of_nothing_ends(store):
    assert [head async for head in store.scan()] == []


async def test_the_first_owner_of_all_finds_nothing_in_hand(store):
    assert await store.in_hand() == InHand(clean=True)


async def test_an_owner_that_says_nothing_has_not_ended_in_good_order(store, other):
    await store.commit(contacts(1))
    await other.state.claim()

    assert await other.state.in_hand() == InHand()


async def test_what_an_owner_had_in_hand_is_there_for_the_next_one(store, other):
    had = InHand(times={"shop_cart 17": 2}, ends=1)
    await store.commit([PutInHand(InHand(times={"shop_cart 16": 1})), PutContact(Contact("c1"))])
    await store.commit([PutInHand(had)])
    await other.state.claim()

    assert await other.state.in_hand() == had


async def test_a_good_end_counts_for_the_owner_that_came_to_it_and_for_no_later_one(backend, store, other):
    await store.commit([PutInHand(InHand(clean=True))])
    await other.state.claim()
    assert await other.state.in_hand() == InHand(clean=True)

    third = (await backend.process()).state
    await third.claim()

    assert await third.in_hand() == InHand()


async def test_what_was_in_hand_is_not_forgotten_by_an_owner_that_came_to_nothing(backend, store, other):
    had = InHand(times={"shop_cart 17": 2}, ends=1)
    await store.commit([PutInHand(had)])
    await other.state.claim()
    third = (await backend.process()).state
    await third.claim()

    assert await third.in_hand() == had
