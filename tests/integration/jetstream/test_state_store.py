"""STATE on a real server: how much a commit takes of the stream. The rest is in tests/contract."""

import pytest
from tests.contract.state_store.test_state_store import journey

from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.portions import portions
from emailflow_runtime.app.stores import PutContact, PutRecord, TooMuch
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Record
from emailflow_runtime.errors import EpochLost, RecordUnreadable


def contacts(count):
    return [PutContact(Contact(key=f"c{number}")) for number in range(count)]


async def last_sequence(connection, names):
    info = await connection.api(f"STREAM.INFO.{names.state(0)}")
    return info["state"]["last_seq"]


@pytest.mark.parametrize("count", [1, 8, 9, 300])
async def test_a_commit_ends_at_the_sequence_that_it_tells(connection, names, count):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()

    assert await store.commit(contacts(count)) == await last_sequence(connection, names)


@pytest.mark.parametrize("count", [1, 8, 9, 300])
async def test_a_stale_owner_takes_no_sequence(connection, other, names, count):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    await JetStreamStateStore(other, names, 0).claim()
    before = await last_sequence(connection, names)

    with pytest.raises(EpochLost):
        await store.commit(contacts(count))

    assert await last_sequence(connection, names) == before


@pytest.mark.parametrize(("contacts", "together"), [(("c1", "c1"), True), (("c1", "c2"), False)])
async def test_records_of_one_enrolment_go_as_one_batch(connection, names, contacts, together):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    journeys = [journey(contact, instance=f"i{number}") for number, contact in enumerate(contacts)]

    await store.commit([PutRecord(Record(each)) for each in journeys])

    for each in journeys:
        subject = names.state_subjects(0).journey(each.flow, each.contact, each.instance)
        stored = await connection.direct_get(names.state(0), {"last_by_subj": subject})
        assert ("Nats-Batch-Id" in stored.headers) is together


async def test_a_record_that_cannot_be_read_is_its_own_contacts_problem(connection, names):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    subjects = names.state_subjects(0)
    await store.commit([PutRecord(Record(journey("c1"))), PutContact(Contact("c1"))])
    await connection.request(subjects.journey("shop_cart", "c2", "i1"), b"no record")
    await connection.request(subjects.contact("c2"), b"no contact")

    enrolments = await store.enrolments([("shop_cart", "c1"), ("shop_cart", "c2")])
    records = await store.records([("shop_cart", each, "i1") for each in ("c1", "c2")])
    contacts = await store.contacts(["c1", "c2"])

    for good, bad in (list(found.values()) for found in (enrolments, records, contacts)):
        assert not isinstance(good, RecordUnreadable)
        assert isinstance(bad, RecordUnreadable)


async def test_more_than_memory_should_hold_is_read_in_portions(connection, names):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    event = CloudEvent(id="e1", source="/shop", type="com.example.cart.updated", data=b"x" * 1_000_000)
    for number in range(40):
        await store.commit([PutRecord(Record(journey(f"c{number}", event=event)))])
    keys = [("shop_cart", f"c{number}") for number in range(40)]

    with pytest.raises(TooMuch):
        await store.enrolments(keys)

    read = [(list(some), found) async for some, found in portions(store.enrolments, keys)]
    assert [key for some, _ in read for key in some] == keys
    assert [key for _, found in read for key in found] == keys
    assert max(len(found) for _, found in read) <= 16


async def test_no_record_is_missed_because_an_answer_ends_where_the_server_has_enough(connection, names):
    store = JetStreamStateStore(connection, names, 0)
    await store.claim()
    event = CloudEvent(id="e1", source="/shop", type="com.example.cart.updated", data=b"x" * 1_000_000)
    for number in range(80):
        await store.commit([PutRecord(Record(journey("c1", instance=f"i{number}", event=event)))])

    found = await store.enrolments([("shop_cart", "c1")])

    assert len(found["shop_cart", "c1"].journeys) == 80
