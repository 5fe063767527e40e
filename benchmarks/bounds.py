"""Bounds: what huge events, floods of ignored ones and a contact with very many journeys cost a runtime.

Run: `python benchmarks/bounds.py`. BENCH_SECONDS=5 is the whole of it: 1,000,000 ignored events and 10,000
journeys; less is that much less.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

from harness.results import SECONDS, report
from harness.rig import TYPE, WAIT_FLOW, Rig, rig

from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key

HUGE = 30
SHARE = min(SECONDS / 5, 1.0)
FLOOD = max(int(1_000_000 * SHARE), 20_000)
JOURNEYS = max(int(10_000 * SHARE), 2_000)
MB = 1 << 20
CONCURRENT = WAIT_FLOW.replace("trigger: {{types:", "trigger: {{reentry: Concurrent, types:")


def entry(who: str, number: int, data: bytes) -> LogEntry:
    """An event about somebody."""
    event = CloudEvent(
        id=f"{who}{number}", source="/bench", type=TYPE, datacontenttype="application/json", data=data
    )
    return LogEntry(event, contact_key("address", f"{who}@example.com"), 0)


def about(who: str, count: int, first: int = 0) -> Iterator[list[LogEntry]]:
    """So many small events about one person, some at a time."""
    body = json.dumps({"email": f"{who}@example.com", "cart_id": "c", "total": 1}).encode()
    for start in range(first, first + count, 500):
        numbers = range(start, min(start + 500, first + count))
        yield [entry(who, number, body) for number in numbers]


async def until_read(running: Rig) -> None:
    """Return when the flow and the reader of the contacts have acknowledged everything."""
    while True:
        names = await running.connection.api(f"CONSUMER.NAMES.{running.names.events}")
        infos = [
            await running.connection.api(f"CONSUMER.INFO.{running.names.events}.{name}")
            for name in names["consumers"]
        ]
        if not any(info["num_pending"] + info["num_ack_pending"] for info in infos):
            return
        await asyncio.sleep(0.1)


async def huge(running: Rig) -> dict[str, Any]:
    """Memory that 30 events of 1 MB leave, of a form that takes 27 times as much when it is parsed."""
    log = JetStreamEventLog(running.connection, running.names)
    before = running.runtime.memory()
    body = b'{"email":"h@example.com","x":[' + b"{}," * 330_000 + b"{}]}"
    for number in range(HUGE):
        await log.append([entry(f"huge{number}", number, body)])
    await until_read(running)
    return {"MB kept by 30 events of 1 MB": (running.runtime.memory() - before) / MB}


async def flood(running: Rig) -> dict[str, Any]:
    """What ignored events of one contact add, when a tenth of them has come, and all."""
    log = JetStreamEventLog(running.connection, running.names)
    for some in about("ana", FLOOD // 10):
        await log.append(some)
    await until_read(running)
    before, cpu = running.runtime.memory(), running.runtime.cpu()
    for some in about("ana", FLOOD - FLOOD // 10, FLOOD // 10):
        await log.append(some)
    await until_read(running)
    count = FLOOD - FLOOD // 10
    return {
        f"MB that {count:,} ignored events of one contact add": (running.runtime.memory() - before) / MB,
        "us of processor time for each of them": (running.runtime.cpu() - cpu) / count * 1e6,
    }


async def taken_over(running: Rig) -> float:
    """Seconds until a new owner has decided on one more event of a contact."""
    await running.stop_runtime()
    await running.start_runtime()
    begun = time.monotonic()
    for some in about("ana", 1, int(time.time() * 1000)):
        await JetStreamEventLog(running.connection, running.names).append(some)
    await until_read(running)
    return running.ready + time.monotonic() - begun


async def main() -> None:
    """Measure and report."""
    figures: dict[str, Any] = {}
    async with rig(WAIT_FLOW) as running:
        figures |= await huge(running)
        figures |= await flood(running)
    async with rig(CONCURRENT) as running:
        figures["s to take over, one journey"] = await taken_over(running)
        for some in about("ana", JOURNEYS):
            await JetStreamEventLog(running.connection, running.names).append(some)
        await until_read(running)
        figures[f"s to take over, {JOURNEYS:,} journeys of one contact"] = await taken_over(running)
    report("bounds", figures)


if __name__ == "__main__":
    asyncio.run(main())
