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
    await consents.put("a1", "offers", subscribed=True, at=1)
    await consents.put("a1", "news & tips", subscribed=False, at=1)
    await consents.put("a12", "offers", subscribed=False, at=1)

    assert consents.of("a1") == Consent({"offers": True, "news & tips": False})


async def test_the_last_word_counts_also_for_who_comes_later(backend, consents):
    await consents.put("a1", "offers", subscribed=True, at=1)
    await consents.put("a1", "offers", subscribed=False, at=2)

    later = (await backend.process()).consents
    await later.put("a2", "offers", subscribed=True, at=1)

    await told(later, "a1", Consent({"offers": False}))


async def test_who_catches_up_knows_what_was_put_before(consents, other):
    for at in range(1, 30):
        await consents.put("a1", "offers", subscribed=bool(at % 2), at=at)

        await other.consents.catch_up()

        assert other.consents.of("a1") == Consent({"offers": bool(at % 2)})


async def test_everybody_hears_of_it(consents, other):
    await consents.put("a1", "offers", subscribed=False, at=1)

    await told(other.consents, "a1", Consent({"offers": False}))


async def test_a_word_that_is_heard_again_takes_nothing_back(consents, other):
    await consents.put("a1", "offers", subscribed=True, at=1)
    await consents.put("a1", "offers", subscribed=False, at=2)

    await consents.put("a1", "offers", subscribed=True, at=1)
    assert consents.of("a1") == Consent({"offers": False})
    await other.consents.put("a1", "offers", subscribed=True, at=1)

    assert other.consents.of("a1") == Consent({"offers": False})


async def test_of_words_that_many_hear_at_once_the_last_one_counts(backend):
    everybody = [(await backend.process()).consents for _ in range(4)]
    said = [(at, bool(at % 2)) for at in range(1, 21)]

    await asyncio.gather(
        *(
            everybody[at % 4].put("a1", "offers", subscribed=subscribed, at=at)
            for at, subscribed in reversed(said)
        )
    )

    for consents in everybody:
        await told(consents, "a1", Consent({"offers": False}))


async def test_a_subscription_that_is_repeated_takes_nothing_back(consents, other):
    # A producer that got no answer sends the same event again, hours after the person has left.
    await consents.put("a1", "offers", subscribed=True, at=1, event=7)
    await consents.put("a1", "offers", subscribed=False, at=2, event=8)
    await consents.put("a1", "offers", subscribed=True, at=3, event=7)
    assert consents.of("a1") == Consent({"offers": False})

    await other.consents.put("a1", "offers", subscribed=True, at=4, event=7)

    assert other.consents.of("a1") == Consent({"offers": False})


async def test_a_subscription_by_another_event_counts_and_so_does_leaving_once_more(consents):
    await consents.put("a1", "offers", subscribed=True, at=1, event=7)
    await consents.put("a1", "offers", subscribed=False, at=2, event=8)
    await consents.put("a1", "offers", subscribed=True, at=3, event=9)
    assert consents.of("a1") == Consent({"offers": True})

    # The link of an old mail, followed again.
    await consents.put("a1", "offers", subscribed=False, at=4, event=8)

    assert consents.of("a1") == Consent({"offers": False})
