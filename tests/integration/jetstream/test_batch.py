"""Few messages go singly, many as a batch; on replicated streams more than one is always a batch."""

import pytest

from emailflow_runtime.adapters.jetstream.batch import SINGLES_UP_TO, Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import EPOCH_LOST, JetStreamError
from emailflow_runtime.errors import Unavailable


async def in_a_batch(connection, names, count, **how):
    subject = names.event_subject(0, "com.example.tick")
    messages = [Message(subject, b"%d" % number, {"ce-id": str(number)}) for number in range(count)]
    sequence = await publish_all(connection, messages, **how)
    last = await connection.direct_get(names.events, {"seq": sequence})
    assert (last.data, last.headers["ce-id"]) == (b"%d" % (count - 1), str(count - 1))
    return "Nats-Batch-Id" in last.headers


@pytest.mark.parametrize(
    ("count", "batch"), [(1, False), (2, False), (SINGLES_UP_TO, False), (SINGLES_UP_TO + 1, True)]
)
async def test_a_few_go_singly(connection, names, count, batch):
    assert await in_a_batch(connection, names, count) == batch


@pytest.mark.parametrize(("count", "batch"), [(1, False), (2, True), (SINGLES_UP_TO, True)])
async def test_there_is_one_write_where_two_would_refuse_each_other(connection, names, count, batch):
    assert await in_a_batch(connection, names, count, one_write=True) == batch


@pytest.mark.parametrize("count", [2, SINGLES_UP_TO + 1])
async def test_what_is_refused_at_its_first_message_is_refused_as_a_whole(connection, names, count):
    subject = names.event_subject(0, "com.example.tick")
    messages = [Message(f"{subject}.{number}", b"", {}) for number in range(count)]
    guard = {"Nats-Expected-Last-Subject-Sequence": "7"}
    with pytest.raises(JetStreamError) as refused:
        await publish_all(connection, messages, guard, one_write=True)
    assert refused.value.code == EPOCH_LOST
    info = await connection.api(f"STREAM.INFO.{names.events}")
    assert info["state"]["messages"] == 0


@pytest.mark.parametrize("count", [1, 2, SINGLES_UP_TO + 1])
async def test_where_nobody_listens_nothing_is_waited_for(connection, count):
    with pytest.raises(Unavailable, match="nobody listens"):
        await publish_all(connection, [Message("nobody.there", b"", {})] * count)


async def test_of_a_few_that_are_refused_the_others_are_stored(connection, names):
    subject = names.event_subject(0, "com.example.tick")
    refused = {"Nats-Expected-Last-Subject-Sequence": "7"}
    messages = [Message(f"{subject}.a", b"", refused), Message(f"{subject}.b", b"stored", {})]
    with pytest.raises(JetStreamError):
        await publish_all(connection, messages)
    last = await connection.direct_get(names.events, {"last_by_subj": f"{subject}.b"})
    assert last.data == b"stored"
