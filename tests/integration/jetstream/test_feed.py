"""Feeds on a real server: a restart of it, and messages that no door wrote. The rest is in tests/contract."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.contract.feed.test_feed import WITHIN, acknowledged, entries, ids, take
from tests.integration.jetstream.conftest import RUNTIME

from emailflow_api.plans import End, FlowPlan, Plans, Program, Trigger, content_hash
from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import PULL_BYTES, JetStreamFeeds
from emailflow_runtime.adapters.jetstream.provision import provision_flows


@pytest.fixture
def log(connection, names):
    return JetStreamEventLog(connection, names)


@pytest.fixture
async def first(connection, names):
    feed = JetStreamFeeds(connection, names).contacts(0)
    yield feed
    await feed.close()


async def test_a_feed_goes_on_after_a_restart_of_the_server(server, connection, log, first):
    await first.take_over()
    await log.append(entries(0, 2))
    await acknowledged(first, await take(first, 2))
    back = asyncio.create_task(connection.reconnected())
    await server.restart()
    async with asyncio.timeout(WITHIN):
        await back
    await log.append(entries(2, 4))

    found = await take(first, 2)

    assert ids(found) == [2, 3]


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"ce-id": "1", "ce-source": "/s"}, "MissingAttribute"),
        ({"ce-id": "%zz", "ce-source": "/s", "ce-type": "t"}, "InvalidAttribute"),
        ({"ce-id": "1", "ce-source": "/s", "ce-type": "t", "EmailFlow-Redrive": "{}"}, "InvalidAttribute"),
        ({"X": "a\udcffb"}, "MissingAttribute"),
    ],
    ids=["no type", "not percent-encoded", "no redrive", "no text"],
)
async def test_what_is_no_event_is_kept_as_it_came(log, first, connection, names, headers, reason):
    await first.take_over()
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"NATS/1.0\r\n{lines}\r\n".encode(errors="surrogateescape")
    data, subject = b"what it was", names.event_subject(0, "com.example.tick").encode()
    await connection.wire.send(
        b"HPUB %b %d %d\r\n%b%b\r\n" % (subject, len(head), len(head) + len(data), head, data)
    )
    await log.append(entries(1, 2))

    found = await take(first, 1)
    assert ids(found) == [1]
    await acknowledged(first, found)

    letters = [each async for each in DeadLetterReader(connection, names).letters()]
    assert [(each.reason, each.origin, each.log_sequence) for each in letters] == [(reason, "_contacts", 1)]
    assert (letters[0].event, letters[0].raw) == (None, data)


PROGRAM = Program(trigger=Trigger(types=("com.example.tick",)), steps=(End(name="fin"),))
FLOW = FlowPlan(namespace="shop", name="tips", revision="r1", start_from="Earliest")


def plans(flow, **programs):
    return Plans(RUNTIME, flows={"shop/tips": flow}, programs={"r1": PROGRAM, **programs})


async def test_a_consumer_says_which_plan_it_was_made_for_and_its_holder_keeps_it(connection, names, log):
    await provision_flows(connection, plans(FLOW))
    feed = JetStreamFeeds(connection, names).flow(FLOW.id, 0)
    assert (await feed.take_over()).plan == content_hash(FLOW)
    await log.append(entries(0, 3))
    held = await take(feed, 3)
    changed = replace(FLOW, suspend=True)

    await provision_flows(connection, plans(changed))

    assert (await feed.standing()).plan == content_hash(changed)
    await log.append(entries(3, 5))
    # Nothing comes again, and nothing is missing.
    assert ids(await take(feed, 2)) == [3, 4]
    await acknowledged(feed, held)
    await feed.close()


async def test_a_consumer_that_is_as_it_should_be_is_left_alone(connection, names, monkeypatch):
    await provision_flows(connection, plans(FLOW))
    asked, api = [], connection.api

    async def asking(subject, body=None):
        asked.append(subject.split(".")[1])
        return await api(subject, body)

    monkeypatch.setattr(connection, "api", asking)
    await provision_flows(connection, plans(FLOW))
    assert asked == ["INFO"]


@pytest.mark.parametrize(("size", "count"), [(300_000, 60), (3_000_000, 8), (7_000_000, 3)])
async def test_large_events_come_a_few_at_a_time_and_without_a_pause(connection, log, first, size, count):
    await first.take_over()
    for number in range(count):
        [entry] = entries(number, number + 1)
        await log.append([replace(entry, event=replace(entry.event, data=b"x" * size))])
    found = []
    largest = 0
    # That a pull counts as lost must not be what helps.
    first._patience = 2 * WITHIN
    async with asyncio.timeout(WITHIN):
        while len(found) < count:
            batch = await first.next_batch()
            largest = max(largest, sum(len(each.event.data) for each in batch))
            found += batch
            await acknowledged(first, batch)

    assert ids(found) == list(range(count))
    assert largest <= max(2 * PULL_BYTES, 16 << 20)
