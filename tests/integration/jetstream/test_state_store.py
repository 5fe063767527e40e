"""STATE on a real server: how much a commit takes of the stream. The rest is in tests/contract."""

import pytest

from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import PutContact
from emailflow_runtime.core.contact import Contact
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
