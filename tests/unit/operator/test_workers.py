"""Workers come and go with what they have to do, and never in the middle of it."""

import asyncio
from typing import Any

from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.worker import Need
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import Options, World
from emailflow_operator.reconcile.children.settings import Image

from .conftest import runtime


class SlowLists:
    """An API server that takes its time; the real one is asked in tests/integration/operator."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.answered = asyncio.Event()

    async def list(self, _: str, **__: Any) -> list[dict[str, Any]]:
        self.asked.set()
        await self.may_answer.wait()
        self.answered.set()
        return [runtime()]


async def test_a_worker_that_clears_away_is_not_let_go_in_the_middle_of_it() -> None:
    lists = SlowLists()
    options = Options(namespace="system", identity="me", image=Image("emailflow:1"), settle=0)
    world = World(options, lists, Servers(), None)  # type: ignore[arg-type]
    workers = Workers(world)
    workers.start()
    workers.clear_away(("mail", "default"))
    try:
        async with asyncio.timeout(20):
            await lists.asked.wait()
            workers.mark_all(Need.LOOK)
            assert world.measures.workers == 1
            lists.may_answer.set()
            await lists.answered.wait()
    finally:
        await workers.stop()


async def test_a_worker_that_has_nothing_to_do_any_more_is_let_go() -> None:
    options = Options(namespace="system", identity="me", image=Image("emailflow:1"), settle=0)
    world = World(options, SlowLists(), Servers(), None)  # type: ignore[arg-type]
    workers = Workers(world)
    workers.start()
    workers.note_gone(runtime())
    assert world.measures.workers == 1
    try:
        async with asyncio.timeout(20):
            while world.measures.workers:
                await asyncio.sleep(0.01)  # its pass must have ended
                workers.mark_all(Need.LOOK)
    finally:
        await workers.stop()
