"""What the janitor took before a flow had looked at it stands in the flow's report, also after a restart."""

import asyncio

import pytest

from emailflow_api.plans import FlowPlan, Plans, Program, RuntimePlan, Send, Trigger, content_hash
from emailflow_api.reports import FlowReport
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.reporting import Reporter

PROGRAM = Program(trigger=Trigger(types=("com.example.a",)), steps=(Send("hello", "end", "shop/hello"),))
FLOW = FlowPlan(namespace="shop", name="cart", revision=content_hash(PROGRAM))
PLANS = Plans(
    runtime=RuntimePlan(namespace="mail", name="default"),
    flows={"shop/cart": FLOW},
    programs={FLOW.revision: PROGRAM},
)


class Bucket:
    """What was reported before, and the first report that is written."""

    def __init__(self, before):
        self.before = before
        self.written = asyncio.get_running_loop().create_future()

    async def read(self, shard):
        return {FLOW.id: FlowReport(plan="", revision="", behind_retention=self.before)}

    async def write(self, shard, reports):
        self.written.set_result(reports[FLOW.id])

    async def pending(self, shard):
        return {}


@pytest.mark.parametrize(
    ("before", "lost", "reported"),
    [(0, {}, 0), (5, {}, 5), (0, {FLOW.id: 2}, 2), (5, {FLOW.id: 2}, 5)],
    ids=["nothing", "by a process before", "by this one", "by this one, and reported already"],
)
async def test_losses_are_reported_once(before, lost, reported):
    bucket = Bucket(before)
    running = asyncio.create_task(Reporter(0, Catalog(PLANS), Census(), bucket, lost).run())

    async with asyncio.timeout(10):
        report = await bucket.written
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert report.behind_retention == reported
