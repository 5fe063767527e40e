"""What a process knows of the plans, and waiting until it knows more."""

import asyncio

from emailflow_api.plans import Plans, Program, RuntimePlan, Send, Trigger
from emailflow_runtime.app.catalog import Catalog

PROGRAM = Program(trigger=Trigger(types=("com.example.a",)), steps=(Send("hello", "end", "shop/hello"),))
RUNTIME = RuntimePlan(namespace="mail", name="default")


async def test_who_needs_a_program_is_told_once_the_plans_have_it() -> None:
    catalog = Catalog(Plans(RUNTIME))
    waiting = asyncio.create_task(catalog.has({"r1", "r2"}))
    await catalog.replace(Plans(RUNTIME, programs={"r1": PROGRAM}))
    await asyncio.sleep(0)
    assert not waiting.done()
    await catalog.replace(Plans(RUNTIME, programs={"r1": PROGRAM, "r2": PROGRAM}))
    await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(catalog.has(set()), 5)
