"""Large events, many of them about one contact, on a server that takes its default of 1 MiB and no more."""

import asyncio

import pytest
from tests.integration.ownership.conftest import SEND, House, compiled

from emailflow_runtime.adapters import nats_server

WAIT = "{name: rest, wait: {for: PT2S}}"


@pytest.fixture(autouse=True)
def one_mebibyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats_server, "CONFIG", nats_server.CONFIG.replace("8MB", "1MB"))


async def test_many_large_events_that_restart_one_journey_cut_nobody_off(
    one_mebibyte: None, house: House
) -> None:
    steps = f"{WAIT}, {SEND}"
    await house.declare(compiled(house.sink.port, shards=1, steps=steps, reentry="Restart"))
    for start in range(0, 260, 20):
        numbers = range(start, start + 20)
        events = (house.sign_up(f"o{n}", email="ana@example.com", x="y" * 40_000) for n in numbers)
        await asyncio.gather(*events)
    await house.sign_up("ben", x="y" * 550_000)
    assert len(house.accepted) == 261

    await house.start("a")
    house.accepted = {"ana", "ben"}
    await house.until_delivered()

    assert len(await house.facts("journey.entered")) == 261
    assert "reconnect" not in house.replicas["a"].log.read_text()
