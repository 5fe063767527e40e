"""What an address has said about a topic: known at once to who put it, and soon to everybody."""

import asyncio

import pytest

from emailflow_runtime.core.consent import Consent

WITHIN = 20


@pytest.fixture
def consents(process):
    return process.consents


async def told(consents, address, wanted):
    """Return once this is known of the address: the port tells only what is, not when."""
    async with asyncio.timeout(WITHIN):
        while consents.of(address) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_who_was_never_asked_has_said_nothing(consents):
    assert consents.of("a1") == Consent({})


async def test_consent_is_known_once_it_is_put(consents):
    await consents.put("a1", "offers", subscribed=True)
    await consents.put("a1", "news & tips", subscribed=False)
    await consents.put("a12", "offers", subscribed=False)

    assert consents.of("a1") == Consent({"offers": True, "news & tips": False})


async def test_the_last_word_counts_also_for_who_comes_later(backend, consents):
    await consents.put("a1", "offers", subscribed=True)
    await consents.put("a1", "offers", subscribed=False)

    later = (await backend.process()).consents
    await later.put("a2", "offers", subscribed=True)

    await told(later, "a1", Consent({"offers": False}))


async def test_everybody_hears_of_it(consents, other):
    await consents.put("a1", "offers", subscribed=False)

    await told(other.consents, "a1", Consent({"offers": False}))
