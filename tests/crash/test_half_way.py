"""A provider that takes a mail and doesn't say so: the outcome is `unknown`, and nothing is sent again."""

import asyncio
import signal

from tests.crash.house import House


async def test_a_mail_that_was_taken_before_the_connection_ended_is_unknown_and_not_sent_again(
    house: House,
) -> None:
    for number in range(4):
        name = f"{house.namespace}-{number}"
        house.mails.add(name)
        house.post(name, at="lost.example" if number % 2 else "example.com")
    house.begin()
    await house.verdict(unknown=2)
    assert await house.unknown() == 2
    assert sorted(house.arrived()) == sorted(house.mails)


async def test_a_mail_that_was_taken_when_the_runtime_was_killed_is_unknown_and_not_sent_again(
    house: House,
) -> None:
    name = f"{house.namespace}-held"
    house.mails.add(name)
    house.post(name, at="held.example")
    life = house.begin()
    async with asyncio.timeout(30):
        while not house.arrived():  # noqa: ASYNC110 - the sink is another process
            await asyncio.sleep(0.02)
    life.signal(signal.SIGKILL)
    await life.ended()
    await house.note_half_way()
    house.begin()
    await house.verdict(unknown=len(house.half_way))
    assert await house.unknown() == 1
    assert house.arrived() == {name: 1}
