"""Mails that go through a lane, for the tests of lanes."""

import asyncio

from emailflow_api.plans import ProviderPlan, Rate, Smtp
from emailflow_runtime.app.breaker import TRIP_AFTER
from emailflow_runtime.app.lanes import Lane
from emailflow_runtime.core.outcomes import Accepted, Deferred, Outcome

DOWN = Deferred("ConnectFailed", systemic=True)
TAKEN = Accepted("ok")


def provider(name: str = "relay", **rate: object) -> ProviderPlan:
    return ProviderPlan("mail", name, Smtp(host="relay.example"), rate=Rate(**rate))  # type: ignore[arg-type]


async def handed_over(lane: Lane, outcome: Outcome, address: str = "a@example.com") -> float:
    """When one mail went out."""

    async def answer() -> Outcome:
        return outcome

    async with lane.slot(address):
        at = now()
        await lane.watch(answer())
        return at


def now() -> float:
    return asyncio.get_running_loop().time()


async def fail(lane: Lane, times: int = TRIP_AFTER) -> None:
    for _ in range(times):
        await handed_over(lane, DOWN)
