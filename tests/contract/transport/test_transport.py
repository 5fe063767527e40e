"""What the sender may rely on, whatever a mail leaves by: an outcome for each mail, never an exception."""

import asyncio

import pytest

from emailflow_runtime.app.ports import OutgoingMail
from emailflow_runtime.core.outcomes import Accepted, Deferred, Refused, Unknown

MAIL = OutgoingMail(
    id="m1",
    envelope_sender="shop@example.com",
    recipients=("ana@example.com", "bob@example.com"),
    message=b"Subject: x\r\n\r\n.dot\r\n..\r\nbye\r\n",
)


def now():
    return asyncio.get_running_loop().time()


def hand_over(transport, *, within=30.0, start_within=5.0):
    return transport.hand_over(MAIL, start_by=now() + start_within, give_up_at=now() + within)


async def test_an_accepted_mail_arrived_as_it_was(transport, provider):
    assert isinstance(await hand_over(transport), Accepted)
    (got,) = provider.received
    assert (got.envelope_sender, got.recipients, got.message) == (
        MAIL.envelope_sender,
        MAIL.recipients,
        MAIL.message,
    )


async def test_a_check_hands_nothing_over(transport, provider):
    assert await transport.check(give_up_at=now() + 30) is None
    assert provider.received == []
    assert isinstance(await hand_over(transport), Accepted)


@pytest.mark.parametrize(("mood", "kind", "code"), [("defer", Deferred, 451), ("refuse", Refused, 554)])
async def test_what_the_provider_says_is_kept(transport, provider, mood, kind, code):
    provider.mood = mood
    outcome = await hand_over(transport)
    assert isinstance(outcome, kind)
    assert outcome.code == code
    assert outcome.enhanced
    assert outcome.reply


async def test_a_refused_mail_leaves_the_way_open_for_the_next(transport, provider):
    provider.mood = "refuse"
    await hand_over(transport)
    provider.mood = "accept"
    assert isinstance(await hand_over(transport), Accepted)


async def test_a_provider_that_vanishes_with_the_mail_leaves_it_unknown(transport, provider):
    provider.mood = "vanish"
    assert isinstance(await hand_over(transport), Unknown)
    assert provider.received == []


async def test_waiting_ends_at_the_time_given_and_leaves_the_mail_unknown(transport, provider):
    provider.mood = "hang"
    outcome = await hand_over(transport, within=0.3)
    assert isinstance(outcome, Unknown)
    assert outcome.reason == "TimedOut"


async def test_past_its_start_nothing_is_begun(transport, provider):
    outcome = await hand_over(transport, start_within=-1)
    assert isinstance(outcome, Deferred)
    assert outcome.reason == "TooLate"
    assert not provider.reached.is_set()


async def test_many_mails_at_once_get_an_outcome_each(transport, provider):
    outcomes = await asyncio.gather(*(hand_over(transport) for _ in range(20)))
    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert len(provider.received) == 20


async def test_closing_waits_for_what_is_under_way(transport, provider):
    provider.mood = "hang"
    under_way = asyncio.create_task(hand_over(transport, within=0.5))
    await provider.reached.wait()
    await transport.close()
    assert under_way.done()


async def test_after_closing_a_mail_is_not_lost_but_deferred(transport):
    await transport.close()
    assert (await hand_over(transport)).reason == "TransportClosed"
