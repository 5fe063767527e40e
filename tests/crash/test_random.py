"""Runtime and nats-server are killed at any moment, again and again, under load: nothing is lost or doubled.

`CRASH_ROUNDS` says how often, `CRASH_SEED` where the moments come from.
"""

import asyncio
import os
import random
import signal

import pytest
from tests.crash.house import House
from tests.crash.manifests import KIND, LATER
from tests.crash.processes import Servers

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "5"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
EVENTS = 20
"""Sent in each round."""


@pytest.mark.timeout(120 + 30 * ROUNDS)
async def test_random_kills_lose_and_double_nothing(house: House, servers: Servers) -> None:
    chance = random.Random(SEED)
    house.begin(workers=True)
    kills = 0
    for round_ in range(ROUNDS):
        await _send(house, round_, chance)
        killed = chance.choice(("runtime", "server", "both"))
        await house.told("ready")
        # The moment is what is tested; nothing is expected at it.
        await asyncio.sleep(chance.uniform(0, 0.3))
        assert house.life is not None
        if killed != "server":
            house.life.signal(signal.SIGKILL)
        if killed != "runtime":
            server = chance.choice(servers.each)
            server.kill()
            server.start()
        if killed != "server":
            kills += 1
            await house.life.ended()
            await house.note_half_way()
            house.begin(workers=True)
    # Three owners that end with the same input in hand are taken for its victims, whoever killed them.
    await house.verdict(unknown=len(house.half_way), put_aside=kills // 3)


async def _send(house: House, round_: int, chance: random.Random) -> None:
    for number in range(EVENTS):
        name = f"{house.namespace}-{round_}-{number}"
        house.mails.add(name)
        way = chance.choice(("http", "nats", "later"))
        if way == "nats":
            house.publish(name)
        else:
            house.post(name, LATER if way == "later" else KIND)
