"""Few messages go singly, many as a batch; on replicated streams more than one is always a batch."""

import pytest

from emailflow_runtime.adapters.jetstream.batch import SINGLES_UP_TO, Message, publish_all


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
