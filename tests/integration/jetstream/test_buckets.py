"""The buckets on a real server: aliases are claimed once, plans and consents reach whoever watches."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.core.consent import Consent

WITHIN = 20
RUNTIME = p.RuntimePlan(namespace="mail", name="default")


# --- aliases -----------------------------------------------------------------------------------------


@pytest.fixture
def aliases(connection, names):
    return AliasBucket(connection, names.bucket("ALIASES"))


@pytest.fixture
def rival(other, names):
    return AliasBucket(other, names.bucket("ALIASES"))


async def test_an_alias_leads_to_its_key(aliases, rival):
    assert await aliases.claim({"a1": "k1"}) == {"a1": "k1"}

    assert await rival.lookup(["a1", "unknown"]) == {"a1": "k1"}


async def test_a_second_claim_gets_the_keys_of_the_first(aliases, rival):
    await aliases.claim({"a1": "k1"})

    assert await rival.claim({"a1": "k2", "a2": "k2"}) == {"a1": "k1", "a2": "k2"}
    assert await aliases.lookup(["a1", "a2"]) == {"a1": "k1", "a2": "k2"}


@pytest.mark.parametrize("count", [3, 700])
async def test_claims_at_once_agree(aliases, rival, count):
    identifiers = [f"a{number}" for number in range(count)]
    async with asyncio.timeout(WITHIN):
        first, second = await asyncio.gather(
            aliases.claim(dict.fromkeys(identifiers, "k1")),
            rival.claim(dict.fromkeys(identifiers, "k2")),
        )

    assert first == second
    assert first.keys() == set(identifiers)


async def test_many_claims_meet_a_few_that_exist(aliases, rival):
    await aliases.claim({"a3": "k1", "a40": "k1"})

    found = await rival.claim({f"a{number}": "k2" for number in range(100)})

    assert {each for each, key in found.items() if key == "k1"} == {"a3", "a40"}
    assert len(found) == 100


# --- plans -------------------------------------------------------------------------------------------


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


async def test_a_change_arrives_where_plans_are_watched(bucket, watched):
    await bucket.write(plans())
    await reaches(watched, plans())
    changed = plans(policies={"offers": p.PolicyPlan(name="offers", topic="offers", consent="OptIn")})

    await bucket.write(changed)

    await reaches(watched, changed)


async def test_what_is_gone_vanishes_but_its_program_stays(bucket, watched):
    before = plans()
    await bucket.write(before)
    await reaches(watched, before)

    await bucket.write(p.Plans(runtime=RUNTIME))

    await reaches(watched, p.Plans(runtime=RUNTIME, programs=before.programs))


async def test_writing_the_same_again_writes_nothing(bucket, connection, names):
    await bucket.write(plans())
    stream = f"STREAM.INFO.KV_{names.bucket('PLANS')}"
    before = (await connection.api(stream))["state"]["last_seq"]

    await bucket.write(plans())

    assert (await connection.api(stream))["state"]["last_seq"] == before


# --- consent -----------------------------------------------------------------------------------------


@pytest.fixture
async def consents(connection, names):
    made = ConsentBucket(connection, names.bucket("CONSENT"))
    following = asyncio.create_task(made.follow())
    yield made
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_who_was_never_asked_has_said_nothing(consents):
    assert consents.of("a1") == Consent({})


async def test_consent_is_known_once_it_is_put(consents):
    await consents.put("a1", "offers", subscribed=True)
    await consents.put("a1", "news & tips", subscribed=False)
    await consents.put("a12", "offers", subscribed=False)

    assert consents.of("a1") == Consent({"offers": True, "news & tips": False})


async def test_the_last_word_counts_also_after_a_restart(consents, other, names):
    await consents.put("a1", "offers", subscribed=True)
    await consents.put("a1", "offers", subscribed=False)

    later = ConsentBucket(other, names.bucket("CONSENT"))
    await later.put("a2", "offers", subscribed=True)
    following = asyncio.create_task(later.follow())
    async with asyncio.timeout(WITHIN):
        while not later.of("a1").topics:  # noqa: ASYNC110 - the port tells only what is, not when
            await asyncio.sleep(0)
    following.cancel()

    assert later.of("a1") == Consent({"offers": False})
