"""One contact's events are decided in their order, each once, whoever owns its shard meanwhile."""

import asyncio
import signal

import pytest
from tests.integration.ownership.conftest import NAMES, House, compiled

from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.core.identity import contact_key

WAIT = "{name: cool-off, wait: {for: P1D}}"


@pytest.mark.parametrize("events", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_the_events_of_one_contact_over_take_overs_end_as_a_serial_run_does(
    house: House, events: int
) -> None:
    await house.declare(compiled(house.sink.port, shards=1, steps=WAIT, reentry="Restart"))
    await house.start("a")
    await house.until_owned("a")
    key = ("mail_hello", contact_key("address", "ana@example.com"))
    state = JetStreamStateStore(house.connection, NAMES, 0)

    async def decided() -> int:
        """The number of the event that the journey started with which runs now."""
        found = (await state.enrolments([key])).get(key)
        running = [each for each in found.journeys.values() if each.running] if found else []
        return int(running[0].event.id) if running else -1

    async def all_accepted() -> None:
        # A door keeps the order of what it is handed; each hundred is one commit.
        for start in range(0, events, 100):
            numbers = range(start, start + 100)
            await asyncio.gather(*(house.sign_up(str(n), email="ana@example.com") for n in numbers))

    producing = asyncio.create_task(all_accepted())
    await house.start("b")
    async with asyncio.timeout(100):
        while await decided() < events // 4:
            await house.sink.something()
        house.replicas["a"].signal(signal.SIGKILL)
        await producing
        while await decided() < events // 2:
            await house.sink.something()
        await house.start("c")
        # All may have been decided before it was so far.
        await house.until_there("b")
        house.replicas["b"].signal(signal.SIGTERM)
        assert await house.replicas["b"].ended() == 0
        while await decided() < events - 1:
            await house.sink.something()
        while len(entered := await house.facts("journey.entered")) < events:
            await house.sink.something()
    assert len(house.accepted) == events
    # In order and each once: as one owner alone would have done it.
    assert [int(fact["event"]["id"]) for fact in entered] == list(range(events))  # type: ignore[index]
    left = await house.facts("journey.exited")
    assert len(left) == events - 1
