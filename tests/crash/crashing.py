"""Killing a runtime at a point, and judging what is left: the one scenario of all crash points."""

import asyncio
import signal
from contextlib import suppress

import pytest
from tests.crash.house import House
from tests.crash.manifests import BROKEN as UNRENDERABLE
from tests.crash.manifests import CONTRACT as STRICT
from tests.crash.manifests import KIND, LATER
from tests.crash.points import POINTS, STOP, Crash

from emailflow_runtime.core.consent import UNSUBSCRIBED

MAILS = 6


async def send(house: House, load: str, mails: int) -> None:
    """Begin to send what brings a runtime to a point, and say what has to become of it."""
    named = [f"{house.namespace}-{number}" for number in range(mails)]
    house.mails.update(named)
    match load:
        case "http" | "stop":
            for name in named:
                house.post(name)
        case "nats":
            for name in named:
                house.publish(name)
        case "timer":
            for name in named:
                house.post(name, LATER)
        case _:
            house.post(named[0])
            house.mails.difference_update(named[1:])
            await _send_what_is_not_mailed(house, load)


async def _send_what_is_not_mailed(house: House, load: str) -> None:
    name = f"{house.namespace}-x"
    match load:
        case "refused":
            house.letters["TypeMismatch"] += 1
            house.publish(name, told="com.example.other")
        case "contract":
            house.letters["ContractBroken"] += 1
            house.post(name, STRICT)
        case "nobody":
            house.letters["NoContact"] += 1
            house.post(name, email="")
        case "unreadable":
            house.letters["PoisonInput"] += 1
            await house.append(name, UNSUBSCRIBED, b"no JSON")
        case "foreign":
            house.letters["MissingAttribute"] += 1
            await house.write(KIND, b"no event")
        case "broken":
            house.failed += 1
            house.letters["UndefinedVariable"] += 1
            house.post(name, UNRENDERABLE)
        case "consent":
            house.skipped += 1
            await house.unsubscribe(name)
            house.post(name)


async def crash(house: House, point: Crash, count: int = 1) -> None:
    """Kill the runtime at the point, let it come back, and judge.

    Where a mail's outcome must be known the mail is alone, so that no other one can be half-way.
    """
    lives = [*_before(point), point]
    strict = count == 1 and not any(each.unknown or each.beside for each in lives)
    await send(house, point.load, 1 if strict else MAILS)
    for each in lives[:-1]:
        await _killed(house, each, 1)
    await _killed(house, point, count)
    house.begin()
    await house.verdict(unknown=0 if strict else len(house.half_way))


def _before(point: Crash) -> list[Crash]:
    """What the lives before are killed at."""
    if not point.first:
        return []
    first = POINTS[point.first]
    return [*_before(first), first]


async def _killed(house: House, point: Crash, count: int) -> None:
    life = house.begin(point.place, over=point.over, count=count)
    if point.load == STOP:
        await house.all_accepted()
        await house.told("ready")
        life.signal(signal.SIGTERM)
    elif count > 1:
        await _ended_or_settled(house)
    await life.ended()
    assert life.told("reached") is not None, house.log()[-3000:]
    await house.note_half_way()


async def _ended_or_settled(house: House) -> None:
    assert house.life is not None
    waiting = {asyncio.create_task(house.settled()), asyncio.create_task(house.life.ended())}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    if house.life.told("reached") is None:
        with suppress(TimeoutError):
            await house.life.ended(0.2)
        if house.life.told("reached") is None:
            pytest.skip("it does not come there so often")
