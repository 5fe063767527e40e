"""One contact with more journeys than nats-server gives in one answer holds nobody, whoever owns it."""

import asyncio
import signal

import pytest
from tests.integration.ownership.conftest import NAMES, SEND, House, compiled, sent_once

JOURNEYS = 1_100
"""nats-server gives 1,024 messages at once."""
WAIT = "{name: rest, wait: {for: PT6S}}"


async def until_entered(house: House, count: int) -> None:
    async with asyncio.timeout(60):
        while len(await house.facts("journey.entered")) < count:
            await house.sink.something()


async def ana_has_many(house: House, count: int, first: int = 0) -> None:
    for start in range(first, first + count, 100):
        numbers = range(start, start + 100)
        await asyncio.gather(*(house.sign_up(f"o{n}", email="ana@example.com") for n in numbers))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
async def test_many_journeys_of_one_contact_are_taken_over_and_hold_nobody(
    house: House, ending: signal.Signals
) -> None:
    await house.declare(compiled(house.sink.port, shards=1, steps=f"{WAIT}, {SEND}", reentry="Concurrent"))
    await house.start("a")
    await house.until_owned("a")
    await ana_has_many(house, JOURNEYS)
    await until_entered(house, JOURNEYS)

    house.replicas["a"].signal(ending)
    await house.replicas["a"].ended()
    await house.start("b")
    # One more of hers, with all of the others to be held against it.
    await ana_has_many(house, 100, first=JOURNEYS)
    await house.sign_up("ben")

    house.accepted = {"ben", "ana"}
    await house.until_delivered(within=90)
    async with asyncio.timeout(60):
        while house.sink.arrived["ana"] < JOURNEYS + 100:
            await house.sink.something()
    assert house.sink.arrived == {"ana": JOURNEYS + 100, "ben": 1}


async def test_a_record_that_cannot_be_read_holds_nobody_at_a_take_over(house: House) -> None:
    await house.declare(compiled(house.sink.port, shards=1, steps=f"{WAIT}, {SEND}"))
    subjects = NAMES.state_subjects(0)
    await house.connection.request(
        subjects.journey("mail_hello", "b" * 32, "-"),
        b"no record",
        {"EmailFlow-Mail": "Requested", "EmailFlow-Wake-At": "1", "EmailFlow-Stage": "r hello"},
    )
    await house.start("a")
    await house.until_owned("a")
    await house.sign_up("ben")
    await house.until_delivered()
    sent_once(house)
