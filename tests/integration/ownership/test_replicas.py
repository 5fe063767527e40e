"""Replicas come and go under load: nothing is lost, nothing is sent twice, no shard stays idle."""

import asyncio
import os
import random
import signal
from contextlib import suppress

from tests.integration.ownership.conftest import NAMES, House, Load, compiled, sent_once

from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore

SEED = 7
"""Of the moments at which an owner is paused, and for how long."""
PAUSES = int(os.environ.get("EMAILFLOW_PAUSES", "3"))
LONGEST = 4.0
"""Seconds: twice as long as a lease lasts here, so about half of the pauses lose shards."""


async def test_one_to_three_to_one_under_load_loses_and_doubles_nothing(house: House) -> None:
    await house.declare(compiled(house.sink.port, shards=4))
    await house.start("a")
    await house.until_owned("a")
    async with Load(house) as load:
        await load.more(100)
        await house.start("b", "c")
        owners = await house.until_owned("a", "b", "c")
        assert sorted(owners) == [0, 1, 2, 3]
        await load.more(100)
        for name in ("b", "a"):
            house.replicas[name].signal(signal.SIGTERM)
            assert await house.replicas[name].ended() == 0
            await load.more(50)
        await house.until_owned("c")
        await load.more(100)
    await house.until_delivered()
    sent_once(house)
    assert await house.unknown() == 0


async def test_who_is_killed_is_succeeded_and_each_mail_is_sent_once_or_recorded_as_unknown(
    house: House,
) -> None:
    await house.declare(compiled(house.sink.port, shards=4))
    await house.start("a", "b")
    await house.until_owned("a", "b")
    async with Load(house) as load:
        await load.more(200)
        house.replicas["a"].signal(signal.SIGKILL)
        await house.replicas["a"].ended()
        await house.until_owned("b")
        await load.more(100)
    await house.until_delivered(unknown=True)
    sent_once(house)


async def test_an_owner_that_was_paused_doubles_nothing_when_it_wakes(house: House) -> None:
    chance = random.Random(SEED)
    await house.declare(compiled(house.sink.port, shards=2))
    await house.start("a", "b")
    await house.until_owned("a", "b")
    async with Load(house) as load:
        for _ in range(PAUSES):
            await load.more(chance.randrange(20, 120))
            paused = house.replicas[chance.choice("ab")]
            paused.signal(signal.SIGSTOP)
            # How long it is away is what the test is about; nothing is expected at a moment.
            await asyncio.sleep(chance.uniform(0, LONGEST))
            paused.signal(signal.SIGCONT)
            await house.until_owned("a", "b")
        await load.more(50)
    await house.until_delivered(unknown=True)
    sent_once(house)


async def test_an_owner_that_wakes_after_it_was_succeeded_lets_go_and_doubles_nothing(
    house: House,
) -> None:
    await house.declare(compiled(house.sink.port, shards=2))
    await house.start("a", "b")
    await house.until_owned("a", "b")
    paused, other = house.replicas["a"], house.replicas["b"]
    async with Load(house) as load:
        await load.more(50)
        paused.signal(signal.SIGSTOP)
        await house.until_owned("b")
        await load.more(20)
        # From here on both believe that they own what was a's.
        paused.signal(signal.SIGCONT)
        await load.more(50)
        await house.until_owned("a", "b")
        await load.more(20)
    await house.until_delivered(unknown=True)
    sent_once(house)
    assert "is lost" in paused.log.read_text() or "somebody else's" in paused.log.read_text()
    assert "is lost" not in other.log.read_text()


async def test_replicas_beyond_the_shards_stand_by_and_take_over(house: House) -> None:
    await house.declare(compiled(house.sink.port, shards=1))
    await house.start("a")
    await house.until_owned("a")
    await house.start("b", "c")
    await house.sign_up("before")
    await house.until_delivered()
    house.replicas["a"].signal(signal.SIGTERM)
    assert await house.replicas["a"].ended() == 0
    async with asyncio.timeout(30):
        while (await house.owners()).get(0, "") not in {"b", "c"}:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.2):
                    await house.leases.changed.wait()
            house.leases.changed.clear()
    await house.sign_up("after")
    await house.until_delivered()
    sent_once(house)


async def test_nats_away_and_back_leaves_every_shard_with_its_owner(house: House) -> None:
    await house.declare(compiled(house.sink.port, shards=4))
    await house.start("a", "b")
    before = await house.until_owned("a", "b")
    async with Load(house) as load:
        await load.more(50)
        await house.server.restart()
        assert await house.until_owned("a", "b") == before
        await load.more(100)
    await house.until_delivered()
    sent_once(house)
    assert "is lost" not in house.replicas["a"].log.read_text() + house.replicas["b"].log.read_text()


async def test_an_owner_whose_epoch_somebody_took_begins_that_shard_anew_and_goes_on_with_the_other(
    house: House,
) -> None:
    await house.declare(compiled(house.sink.port, shards=2))
    await house.start("a")
    await house.until_owned("a")
    intruder = JetStreamStateStore(house.connection, NAMES, 0)
    async with Load(house) as load:
        for _ in range(3):
            await load.more(100)
            await intruder.claim()
        await load.more(100)
    await house.until_delivered(unknown=True)
    sent_once(house)
    log = house.replicas["a"].log.read_text()
    assert "shard 0 is lost" in log
    assert "shard 1 is lost" not in log
