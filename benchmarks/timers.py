"""Many timers due in one second: when the last journey has moved on, and whether any did twice.

Run: `python benchmarks/timers.py`. `BENCH_TIMERS` journeys (20,000 unless set) wait for the same second.
"""

import asyncio
import os
import time
from datetime import datetime
from typing import Any

from harness.results import report
from harness.rig import WAIT_FLOW, Rig, rig
from harness.seeding import SECOND, seed

TIMERS = int(os.environ.get("BENCH_TIMERS", "20000"))
READY_WITHIN = 15
COMPLETED = "dev.emailflow.journey.completed"


async def completed(running: Rig) -> int:
    """How many journeys have told of their end."""
    subject = running.names.event_subject(0, COMPLETED)
    asked = {"subjects_filter": subject}
    info = await running.connection.api(f"STREAM.INFO.{running.names.events}", asked)
    return int((info["state"].get("subjects") or {}).get(subject, 0))


async def committed(running: Rig) -> tuple[int, float]:
    """The place and moment (Unix seconds) of the last message about a completed journey."""
    asked = {"last_by_subj": running.names.event_subject(0, COMPLETED)}
    last = await running.connection.direct_get(running.names.events, asked)
    assert last is not None
    stamp = last.headers["Nats-Time-Stamp"]
    return int(last.headers["Nats-Sequence"]), datetime.fromisoformat(f"{stamp[:26]}Z").timestamp()


async def main() -> None:
    """Measure and report."""
    figures: dict[str, Any] = {"timers due in one second": TIMERS}
    async with rig(WAIT_FLOW, serve=False) as running:
        now = time.time_ns()
        due = now + (READY_WITHIN + TIMERS // 2000) * SECOND
        await seed(running, TIMERS, now, due)
        await running.start_runtime()
        if time.time_ns() > due:
            raise RuntimeError("the runtime was not ready in time")
        before = running.runtime.cpu(), running.nats_cpu()
        deadline = due / SECOND + 120
        while (there := await completed(running)) < TIMERS and time.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        after = running.runtime.cpu(), running.nats_cpu()
        for name, begin, end in zip(("runtime", "nats-server"), before, after, strict=True):
            figures[f"us CPU a timer, {name}"] = (end - begin) / TIMERS * 1e6
        figures["runtime MB after it"] = running.runtime.memory() / 1e6
        await asyncio.sleep(2)
        _, last = await committed(running)
        figures["moved on and told, the last one after, s"] = last - due / SECOND
        figures["moved on"] = there
        figures["moved on twice"] = await completed(running) - TIMERS
        await running.stop_runtime()
    report("timers", figures)


if __name__ == "__main__":
    asyncio.run(main())
