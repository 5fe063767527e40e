"""What kills every process that takes it is put aside after a few of them; everything else gets through."""

import asyncio
import signal

import pytest
from tests.integration.ownership.conftest import NAMES, SEND, House, Replica, compiled, sent_once

from emailflow_api.jetstream.naming import CONTACTS_CONSUMER
from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
from emailflow_runtime.app.inhand import DEATHS
from emailflow_runtime.app.redrive import Letter

POISON = "poison"
MAILS = 40
WAIT = "{name: cool-off, wait: {for: PT1S}}"


async def kept_alive(replica: Replica, deaths: list[int]) -> None:
    """What a kubelet does."""
    while True:
        deaths.append(await replica.wait())
        await replica.start()


async def until_a_letter(house: House) -> Letter:
    """The first dead letter, once there is one."""
    reader = DeadLetterReader(house.connection, NAMES)
    async with asyncio.timeout(60):
        while True:
            async for letter in reader.letters():
                return letter
            await house.sink.something()


@pytest.mark.parametrize(
    ("place", "steps", "origin", "owners"),
    [
        # The first owner dies before anybody knows that anything is wrong.
        ("deciding", SEND, "mail_hello", 1 + DEATHS),
        pytest.param("reading", SEND, CONTACTS_CONSUMER, 1 + DEATHS, marks=pytest.mark.slow),
        # What stands in STATE is taken one by one from the second unclean end on.
        pytest.param("waking", f"{WAIT}, {SEND}", "mail_hello", 2 + DEATHS, marks=pytest.mark.slow),
        pytest.param("composing", SEND, "mail_hello", 2 + DEATHS, marks=pytest.mark.slow),
    ],
)
async def test_what_kills_its_owners_is_put_aside_and_all_else_goes_on(
    house: House, place: str, steps: str, origin: str, owners: int
) -> None:
    await house.declare(compiled(house.sink.port, shards=2, steps=steps))
    await house.start("a", options=[f"{place}:{POISON}"])
    await house.until_owned("a")
    for number in range(MAILS):
        await house.sign_up(f"before{number}")
    deaths: list[int] = []
    keeping = asyncio.create_task(kept_alive(house.replicas["a"], deaths))
    await asyncio.gather(
        house.sign_up(POISON), *(house.sign_up(f"beside{number}") for number in range(MAILS))
    )
    letter = await until_a_letter(house)
    for number in range(MAILS):
        await house.sign_up(f"after{number}")
    house.accepted.discard(POISON)
    await house.until_delivered(unknown=True)
    keeping.cancel()
    assert letter.event is not None
    assert (letter.reason, letter.origin, letter.event.id) == ("PoisonInput", origin, POISON)
    assert deaths == [-signal.SIGKILL] * owners
    sent_once(house)
    letters = [each async for each in DeadLetterReader(house.connection, NAMES).letters()]
    assert {each.event.id for each in letters if each.event} == {POISON}
    assert sum(each.reason == "PoisonInput" for each in letters) == 1
