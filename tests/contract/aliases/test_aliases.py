"""An alias is claimed once and then leads to the same key for everybody."""

import asyncio

import pytest

WITHIN = 20


@pytest.fixture
def aliases(process):
    return process.aliases


@pytest.fixture
def rival(other):
    return other.aliases


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
