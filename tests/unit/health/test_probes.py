"""What probes say of a shard that should run and does not, and of a commit that never ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request

from emailflow_runtime.adapters.in_memory.lease_bucket import InMemoryLeases, LeaseState
from emailflow_runtime.app.ownership import STEADY_AFTER, STUCK_AFTER, UNREADY_AFTER, Ownership
from emailflow_runtime.web.health import health_routes


class LoopClock:
    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * 1_000_000_000)


class FakeShard:
    """A shard that fails `fails` times right after its start, and then runs."""

    fails = 0
    committing_for = 0.0

    def __init__(self) -> None:
        self.ready = asyncio.Event()

    async def run(self) -> None:
        self.ready.set()
        await asyncio.sleep(0.01)
        if FakeShard.fails:
            FakeShard.fails -= 1
            raise RuntimeError("one contact can't be read")
        await asyncio.Event().wait()

    async def stop(self) -> None:
        return


@asynccontextmanager
async def owning(fails: int = 0) -> AsyncIterator[Ownership]:
    FakeShard.fails, FakeShard.committing_for = fails, 0.0

    async def never() -> None:
        await asyncio.Event().wait()

    leases = InMemoryLeases(LeaseState(LoopClock()), "a")
    ownership = Ownership(
        leases, shards=1, make=lambda _: FakeShard(), share=lambda _: None, reconnected=never
    )
    running = asyncio.create_task(ownership.run())
    await asyncio.sleep(5)
    yield ownership
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_shard_that_runs_is_ready() -> None:
    async with owning() as ownership:
        await asyncio.sleep(2 * UNREADY_AFTER)
        assert ownership.unready == []


async def test_a_shard_that_fails_again_and_again_makes_its_replica_unready() -> None:
    async with owning(fails=10_000) as ownership:
        assert ownership.unready == []
        await asyncio.sleep(UNREADY_AFTER)
        assert ownership.unready == [0]


async def test_it_is_ready_again_once_the_shard_has_run_for_a_while() -> None:
    async with owning(fails=10_000) as ownership:
        await asyncio.sleep(UNREADY_AFTER)
        FakeShard.fails = 0
        await asyncio.sleep(STEADY_AFTER + 5)
        assert ownership.unready == []


async def test_a_commit_that_does_not_end_is_stuck_while_leases_are_renewed() -> None:
    async with owning() as ownership:
        FakeShard.committing_for = STUCK_AFTER
        assert ownership.stuck == [0]
        FakeShard.committing_for = STUCK_AFTER - 1
        assert ownership.stuck == []


async def test_probes_say_what_is_wrong() -> None:
    trouble = {"ready": "", "live": ""}
    routes = health_routes(lambda: trouble["ready"], lambda: trouble["live"])

    async def asked() -> dict[str, tuple[int, Any]]:
        answers = {}
        for route in routes:
            response = await route.endpoint(Request({"type": "http"}))
            answers[route.path] = (response.status_code, json.loads(response.body))
        return answers

    fine = (200, {"status": "ok"})
    assert await asked() == {"/healthz": fine, "/readyz": fine}
    trouble.update(ready="shard 0", live="a commit of shard 0")
    assert await asked() == {
        "/healthz": (503, {"status": "stuck", "in": "a commit of shard 0"}),
        "/readyz": (503, {"status": "waiting", "for": "shard 0"}),
    }
