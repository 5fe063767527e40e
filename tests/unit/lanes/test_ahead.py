"""How many mails are between intent and outcome follows how fast the provider takes them."""

import asyncio

from emailflow_api.plans import ProviderPlan, Rate, Smtp
from emailflow_runtime.app.lanes import AHEAD, MOMENT, Lane
from emailflow_runtime.core.outcomes import Accepted, Outcome

CONCURRENCY = 2


class Provider:
    """Takes `takes` seconds for a mail; counts what it has before it, and what it has at a time."""

    def __init__(self) -> None:
        self.takes = 0.001
        self.before_it = self.most_before_it = 0
        self.at_a_time = self.most_at_a_time = 0
        self.lane = Lane(
            ProviderPlan("mail", "relay", Smtp(host="relay.example"), rate=Rate(concurrency=CONCURRENCY)), 1.0
        )

    async def _take(self) -> Outcome:
        self.at_a_time += 1
        self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        await asyncio.sleep(self.takes)
        self.at_a_time -= 1
        return Accepted("250 ok")

    async def _mail(self) -> None:
        async with self.lane.slot("ana@example.com"):
            self.before_it += 1
            self.most_before_it = max(self.most_before_it, self.before_it)
            await self.lane.watch(self._take())
            self.before_it -= 1

    async def mails(self, count: int) -> int:
        """Hand so many over, all offered at once; the most that were before it."""
        self.most_before_it = 0
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(self._mail())
        return self.most_before_it


async def test_a_fast_provider_has_more_mails_before_it_than_it_takes_at_a_time() -> None:
    provider = Provider()
    assert await provider.mails(500) == CONCURRENCY * AHEAD
    assert provider.most_at_a_time == CONCURRENCY


async def test_one_that_becomes_slow_soon_has_no_more_before_it_than_it_takes_at_a_time() -> None:
    provider = Provider()
    await provider.mails(500)
    provider.takes = 2 * MOMENT
    await provider.mails(100)
    assert await provider.mails(100) <= CONCURRENCY + 1
    assert provider.most_at_a_time == CONCURRENCY
