"""PLANS on a real server: what is written, and what stays. The rest is in tests/contract."""

import asyncio
import contextlib
import types

import pytest
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_runtime.adapters.jetstream import bucket_tail
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.core.consent import Consent

WITHIN = 20
RUNTIME = p.RuntimePlan(namespace="mail", name="default", namespaces=("shop",), undeclared_readers=("shop",))


@pytest.fixture
def bucket(connection, names):
    return PlanBucket(connection, names.bucket("PLANS"))


@pytest.fixture
async def watched(other, names):
    """The plans as another process sees them, one after the other."""
    async with contextlib.aclosing(PlanBucket(other, names.bucket("PLANS")).snapshots()) as snapshots:
        yield snapshots


def program(name):
    return p.Program(
        trigger=p.Trigger(types=("com.example.signed_up",)),
        steps=(p.Send(name=name, next=p.END, template="shop/welcome"),),
    )


def plans(**fields):
    first = program("welcome")
    revision = p.content_hash(first)
    whole = p.Plans(
        runtime=RUNTIME,
        flows={"shop/onboarding": p.FlowPlan(namespace="shop", name="onboarding", revision=revision)},
        programs={revision: first},
        templates={
            "shop/welcome": p.TemplatePlan(
                namespace="shop", name="welcome", subject="Hi", format="mjml", body="…"
            )
        },
        providers={"smtp": p.ProviderPlan(namespace="mail", name="smtp", transport=p.Smtp(host="mx"))},
        policies={"offers": p.PolicyPlan(name="offers", topic="offers")},
        event_types={"com.example.x": p.EventTypePlan(name="x", type="com.example.x")},
    )
    return replace(whole, **fields)


async def reaches(snapshots, wanted):
    """Return once the watcher sees these plans: on the way it may see some of a write's keys only."""
    async with asyncio.timeout(WITHIN):
        async for found in snapshots:
            if found == wanted:
                return


async def test_plans_are_read_as_they_were_written(bucket, watched):
    await bucket.write(plans())

    await reaches(watched, plans())
    assert await bucket.read() == plans()


async def test_an_empty_bucket_holds_no_plans(bucket):
    assert await bucket.read() is None


async def test_what_is_gone_vanishes(bucket, watched):
    before = plans()
    await bucket.write(before)
    await reaches(watched, before)

    await bucket.write(p.Plans(runtime=RUNTIME))

    await reaches(watched, p.Plans(runtime=RUNTIME))


async def test_plans_of_many_megabytes_arrive_whole(bucket, watched):
    big = {
        f"shop/m{number}": p.TemplatePlan(
            namespace="shop", name=f"m{number}", subject=f"{number}", format="html", body="x" * 700_000
        )
        for number in range(60)
    }

    await bucket.write(plans(templates=big))

    await reaches(watched, plans(templates=big))


async def test_writing_the_same_again_writes_nothing(bucket, connection, names):
    await bucket.write(plans())
    stream = f"STREAM.INFO.KV_{names.bucket('PLANS')}"
    before = (await connection.api(stream))["state"]["last_seq"]

    await bucket.write(plans())

    assert (await connection.api(stream))["state"]["last_seq"] == before


@pytest.fixture
async def mirror(other, names):
    """Consent as a process has it that has heard of nothing since it began."""
    made = ConsentBucket(other, names.bucket("CONSENT"))
    await made.start()
    return made


async def test_a_mirror_that_lags_has_everything_once_it_has_caught_up(connection, names, mirror):
    consents = ConsentBucket(connection, names.bucket("CONSENT"))
    for number in range(1200):
        await consents.put(f"a{number}", "*", subscribed=False, at=1)
    assert mirror.of("a1199") == Consent()

    async with asyncio.timeout(WITHIN):
        await mirror.catch_up()

    assert mirror.of("a0") == mirror.of("a1199") == Consent({"*": False})


@pytest.fixture
def lagging(other, monkeypatch):
    """How far the replica has got that answers `mirror` (None: to the end), and how often it has answered."""
    replica = types.SimpleNamespace(last=None, answers=0)
    ask = other.direct_get_many

    async def asking(stream, body, *, known=0):
        replica.answers += 1
        last = replica.last
        async for message in ask(stream, body, known=known):
            if last is None or int(message.headers["Nats-Sequence"]) <= last:
                yield message

    monkeypatch.setattr(other, "direct_get_many", asking)
    return replica


async def test_who_catches_up_waits_for_a_replica_that_lags_for_as_long_as_it_does(
    connection, names, mirror, lagging, monkeypatch
):
    monkeypatch.setattr(bucket_tail, "RETRY_AFTER", 0)
    lagging.last = 0
    await ConsentBucket(connection, names.bucket("CONSENT")).put("a1", "*", subscribed=False, at=1)
    async with asyncio.timeout(WITHIN):
        catching_up = asyncio.create_task(mirror.catch_up())
        while lagging.answers < 50 and not catching_up.done():  # noqa: ASYNC110 - the server answers
            await asyncio.sleep(0)
        assert not catching_up.done()

        lagging.last = None
        await catching_up

    assert mirror.of("a1") == Consent({"*": False})


async def test_who_catches_up_waits_for_no_word_that_is_gone(connection, names, mirror):
    stream = f"KV_{names.bucket('CONSENT')}"
    await ConsentBucket(connection, names.bucket("CONSENT")).put("a1", "*", subscribed=False, at=1)
    await connection.api(f"STREAM.PURGE.{stream}", {})

    async with asyncio.timeout(WITHIN):
        await mirror.catch_up()

    assert mirror.of("a1") == Consent()


async def test_a_word_that_was_put_here_is_not_taken_back_by_a_replica_that_lags(
    connection, other, names, mirror, monkeypatch
):
    bucket = names.bucket("CONSENT")
    await ConsentBucket(connection, bucket).put("a1", "offers", subscribed=True, at=1)
    answers = 0

    async def stale(stream, body, *, known=0):
        nonlocal answers
        # What its leader has no more, since that keeps the last word only.
        headers = {"Nats-Subject": f"$KV.{bucket}.a1.offers", "Nats-Sequence": "1"}
        yield Arrived("", "", headers, b"subscribed 1")
        answers += 1

    monkeypatch.setattr(other, "direct_get_many", stale)
    following = asyncio.create_task(mirror.follow())
    async with asyncio.timeout(WITHIN):
        while mirror.of("a1") != Consent({"offers": True}):  # noqa: ASYNC110 - it tells what is
            await asyncio.sleep(0)
        await mirror.put("a1", "offers", subscribed=False, at=2)
        seen = answers
        while answers < seen + 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)

    assert mirror.of("a1") == Consent({"offers": False})
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_who_catches_up_waits_for_a_server_that_is_away(server, connection, names, mirror):
    await ConsentBucket(connection, names.bucket("CONSENT")).put("a1", "*", subscribed=False, at=1)
    back = asyncio.create_task(connection.reconnected())
    await server.stop()
    catching_up = asyncio.create_task(mirror.catch_up())
    await asyncio.sleep(0)
    assert not catching_up.done()

    await server.start()

    async with asyncio.timeout(WITHIN):
        await back
        await catching_up
    assert mirror.of("a1") == Consent({"*": False})
