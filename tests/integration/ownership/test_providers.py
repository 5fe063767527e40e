"""What a provider allows holds for all owners together, and one that is down holds up nobody else."""

import asyncio

from tests.integration.ownership.conftest import House, compiled, sent_once

PER_SECOND = 20
BURST = 10
MAILS = 80


async def test_two_owners_together_keep_the_providers_rate(house: House) -> None:
    rate = f"{{perSecond: {PER_SECOND}, burst: {BURST}}}"
    await house.declare(compiled(house.sink.port, shards=2, rate=rate))
    await house.start("a", "b")
    await house.until_owned("a", "b")
    await asyncio.gather(*(house.sign_up(f"u{number}") for number in range(MAILS)))
    await house.until_delivered()
    sent_once(house)
    kept(house, PER_SECOND, BURST)


async def test_two_owners_together_keep_the_rate_of_a_domain(house: House) -> None:
    rate = f"{{perDomain: [{{domain: example.com, perSecond: {PER_SECOND}}}]}}"
    await house.declare(compiled(house.sink.port, shards=2, rate=rate))
    await house.start("a", "b")
    await house.until_owned("a", "b")
    await asyncio.gather(*(house.sign_up(f"u{number}") for number in range(MAILS)))
    await house.until_delivered()
    sent_once(house)
    kept(house, PER_SECOND, burst=2)


def kept(house: House, per_second: float, burst: float) -> None:
    """No stretch of time has seen more mails than the rate and its burst allow."""
    at = sorted(house.sink.at)
    for start in range(len(at)):
        for end in range(start, len(at)):
            # A mail may take a little longer on its way than the next one.
            assert end - start + 1 <= per_second * (at[end] - at[start] + 0.3) + burst


async def test_a_provider_that_is_down_gets_few_connections_and_every_mail_when_it_is_back(
    house: House,
) -> None:
    await house.declare(compiled(house.sink.port, shards=2))
    await house.start("a", "b")
    await house.until_owned("a", "b")
    house.sink.down = True
    await asyncio.gather(*(house.sign_up(f"u{number}") for number in range(200)))
    async with asyncio.timeout(60):
        while len({fact["mail"] for fact in await house.facts("message.deferred")}) < 200:
            await house.sink.something()
    assert house.sink.connections < 20
    house.sink.down = False
    await house.until_delivered(within=90)
    sent_once(house)
