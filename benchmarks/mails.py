"""From an event in EVENTS to the provider's 250: mails a second when saturated, and how long one takes.

Run: `python benchmarks/mails.py`. With contract mapping, CEL filter, journey, consent, cap, rendering and
signed links; two cores carry nats-server (`sync_interval: always`), sink, load generator and runtime.
"""

import asyncio
import sys
from typing import Any

from harness.results import ROUNDS, SECONDS, percentiles, report
from harness.rig import MAIL_FLOW, Rig, rig

OFFERED = 5000
FIRST = 1_000_000


async def saturated(running: Rig, first: int) -> float:
    """Mails a second while more events wait than can be sent."""
    count = int(3500 * SECONDS)
    said = await running.publish(count=count, rate=OFFERED, first=first)
    taken = await running.taken(count, 60 + 20 * SECONDS)
    # From the first event on: reading ahead and sending later must not look like speed.
    return count / ((max(taken.values()) - said["start"]) / 1e9)


async def latency(running: Rig, rate: int, first: int) -> dict[str, float]:
    """From the moment that an event was due to the 250 of its mail."""
    count = int(rate * SECONDS)
    said = await running.publish(count=count, rate=rate, first=first)
    taken = await running.taken(count, 60 + 10 * SECONDS)
    due = {first + each: said["start"] + each / rate * 1e9 for each in range(count)}
    return percentiles([(at - due[number]) / 1e9 for number, at in taken.items()])


async def main(what: list[str]) -> None:
    """Measure and report."""
    figures: dict[str, Any] = {}
    async with rig(MAIL_FLOW) as running:
        first = FIRST
        await running.publish(count=500, rate=500, first=0)
        await running.taken(500, 60)
        if "rate" in what:
            rates, memory = [], []
            for _ in range(ROUNDS):
                before = running.runtime.cpu(), running.nats_cpu(), running.sink.cpu()
                rates.append(await saturated(running, first))
                after = running.runtime.cpu(), running.nats_cpu(), running.sink.cpu()
                count = int(3500 * SECONDS)
                used = [(b - a) / count * 1e6 for a, b in zip(before, after, strict=True)]
                if rates[-1] == max(rates):
                    names = ("runtime", "nats-server", "sink")
                    figures |= {f"us CPU a mail, {n}": u for n, u in zip(names, used, strict=True)}
                memory.append(running.runtime.memory() // 1_000_000)
                first += FIRST
            figures["runtime MB after each round"] = memory
            figures["mails/s, saturated"] = max(rates)
            figures["mails/s, each round"] = [round(each) for each in rates]
        for rate in (200, 2000):
            if str(rate) in what:
                found = [await latency(running, rate, first + turn * FIRST) for turn in range(ROUNDS)]
                first += ROUNDS * FIRST
                best = min(found, key=lambda each: each["p99_ms"])
                figures |= {f"at {rate}/s, {name}": value for name, value in best.items()}
        figures["runtime MB after it"] = running.runtime.memory() / 1e6
    report("mails", figures)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["rate", "200", "2000"]))
