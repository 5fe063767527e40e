"""STATE on a real server: how much a commit takes of the stream. The rest is in tests/contract."""

import pytest
from tests.contract.state_store.test_state_store import journey

from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import PutContact, PutRecord
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Record
from emailflow_runtime.errors import EpochLost


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
