"""How long no mail goes out when a shard's owner is asked to end, and when it is killed.

Run: `python benchmarks/owners.py`. One shard, two replicas, a mail for each event at `BENCH_OWNERS_RATE` a
second (50 unless set). The figure is the longest time between two mails' 250, so it holds what a recipient
would notice: the lease, the take-over, and all that was waiting.
"""

import asyncio
import itertools
import os
from collections.abc import Iterable
from typing import Any

from harness.results import report
from harness.rig import MAIL_FLOW, Process, Rig, rig, start

RATE = int(os.environ.get("BENCH_OWNERS_RATE", "50"))
SECONDS = 20
BEFORE = 5
"""Seconds of load before the owner ends."""
AT_THE_PROVIDER = 64
"""Mails at most that a killed owner had handed over without an answer: unknown, and not sent again."""


async def replica(running: Rig) -> Process:
    """One more, which stands by."""
    made = await start("serving", running.where())
    await made.line()
    return made


def longest_gap(moments: Iterable[int]) -> float:
    """Seconds."""
    at = sorted(moments)
    return max(later - earlier for earlier, later in itertools.pairwise(at)) / 1e9


async def gap(running: Rig, owner: Process, *, kill: bool, first: int) -> float:
    """The longest time without a mail while this owner ends."""
    count = RATE * SECONDS
    publishing = asyncio.create_task(running.publish(count=count, rate=RATE, first=first))
    await asyncio.sleep(BEFORE)
    if kill:
        owner.kill()
        await owner.ended()
    else:
        await owner.stop()
    await publishing
    return longest_gap((await running.taken(count - AT_THE_PROVIDER * kill, 60)).values())


async def main() -> None:
    """Measure and report."""
    figures: dict[str, Any] = {"mails a second": RATE}
    async with rig(MAIL_FLOW) as running:
        second = await replica(running)
        figures["SIGTERM: longest time without a mail, s"] = await gap(
            running, running.runtime, kill=False, first=0
        )
        third = await replica(running)
        figures["SIGKILL: longest time without a mail, s"] = await gap(
            running, second, kill=True, first=RATE * SECONDS
        )
        await third.stop()
    report("owners", figures)


if __name__ == "__main__":
    asyncio.run(main())
