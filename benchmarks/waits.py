"""Open waits: memory of nats-server, and how long a runtime takes to be ready beside them.

Run: `python benchmarks/waits.py`. `BENCH_WAITS` journeys wait for a day (20,000 unless set; the figure to
reach is for 1,000,000). Also: the memory of a runtime that has nothing to do.
"""

import asyncio
import os
import time
from typing import Any

from harness.results import report
from harness.rig import WAIT_FLOW, rig
from harness.seeding import SECOND, seed

WAITS = int(os.environ.get("BENCH_WAITS", "20000"))
IDLE_AFTER = 5


async def main() -> None:
    """Measure and report."""
    figures: dict[str, Any] = {"waits": WAITS}
    async with rig(WAIT_FLOW) as running:
        await asyncio.sleep(IDLE_AFTER)
        figures["runtime idle, MB (without its render workers)"] = running.runtime.memory() / 1e6
        figures["runtime ready with nothing in STATE, s"] = running.ready
        await running.stop_runtime()
        empty = running.nats_memory()
        now = time.time_ns()
        took = await seed(running, WAITS, now, now + 24 * 3600 * SECOND)
        figures["waits written (contact and record), 1/s"] = WAITS / took
        figures["nats-server, MB"] = running.nats_memory() / 1e6
        figures["nats-server, bytes a wait"] = (running.nats_memory() - empty) / WAITS
        await running.start_runtime()
        figures["take-over to ready, s"] = running.ready
        figures["runtime after take-over, MB"] = running.runtime.memory() / 1e6
        await running.stop_runtime()
        begun = time.monotonic()
        await running.server.restart()
        figures["nats-server restarted, s"] = time.monotonic() - begun
        await running.start_runtime()
        figures["restart of both to ready, s"] = time.monotonic() - begun
    report("waits", figures)


if __name__ == "__main__":
    asyncio.run(main())
