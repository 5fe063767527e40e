"""Durable journey steps: a record that says when it wakes on disk, and what led there.

Run: `python benchmarks/steps.py`. First what the writer stores when many journeys move at once, then the same
through the whole engine: an event in EVENTS, read, decided about, its journey waiting.
"""

import asyncio
import time
from typing import Any

from harness.floors import batch_floor
from harness.results import ROUNDS, SECONDS, report
from harness.rig import WAIT_FLOW, Rig, rig
from harness.seeding import SECOND, waiting

from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.writer import Writer

ENGINE = 1500


async def stored(running: Rig, first: int) -> float:
    """Steps a second through the writer: each a record, submitted by 600 journeys at once."""
    connection = await connect(Credentials(running.server.url), "bench steps")
    store = JetStreamStateStore(connection, running.names, 0)
    await store.claim()
    writer = Writer(store)
    writing = asyncio.create_task(writer.run())
    now = time.time_ns()
    steps = [
        waiting(running, first + each, now, now + 24 * 3600 * SECOND)[:1]
        for each in range(int(8000 * SECONDS))
    ]
    begun = time.monotonic()
    for start in range(0, len(steps), 600):
        await asyncio.gather(*[writer.submit(each) for each in steps[start : start + 600]])
    took = time.monotonic() - begun
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await connection.close()
    return len(steps) / took


async def decided(running: Rig, first: int) -> float:
    """Steps a second through the whole engine."""
    count = int(ENGINE * SECONDS)
    records = running.names.state_subjects(0).journeys_all

    async def waiting_now() -> int:
        asked = {"subjects_filter": records}
        info = await running.connection.api(f"STREAM.INFO.{running.names.state(0)}", asked)
        return len(info["state"].get("subjects") or {})

    before = await waiting_now()
    publishing = asyncio.create_task(running.publish(count=count, rate=8000, first=first))
    begun = time.monotonic()
    while await waiting_now() < before + count // 10:  # noqa: ASYNC110 - nats-server is asked
        await asyncio.sleep(0.02)
    begun, low = time.monotonic(), await waiting_now()
    while (high := await waiting_now()) < before + count:
        if time.monotonic() - begun > 60 + 10 * SECONDS:
            raise TimeoutError(f"{high - before} of {count} journeys wait")
        await asyncio.sleep(0.05)
    took = time.monotonic() - begun
    await publishing
    return (high - low) / took


async def main() -> None:
    """Measure and report."""
    figures: dict[str, Any] = {}
    async with rig(WAIT_FLOW, serve=False) as running:
        figures["floor: messages/s in raw batches of 600"] = batch_floor(running.server.url, 600)
        figures["steps/s stored by the writer"] = max(
            [await stored(running, turn * 1_000_000) for turn in range(ROUNDS)]
        )
    async with rig(WAIT_FLOW) as running:
        figures["steps/s through the engine"] = max(
            [await decided(running, turn * 1_000_000) for turn in range(ROUNDS)]
        )
    report("steps", figures)


if __name__ == "__main__":
    asyncio.run(main())
