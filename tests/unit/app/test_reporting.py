"""What a report says: what is on disk, and what the janitor took before a flow had looked at it."""

import asyncio

import pytest

from emailflow_api.plans import FlowPlan, Plans, Program, RuntimePlan, Send, Trigger, content_hash
from emailflow_api.reports import FlowReport
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.reporting import Reporter
from emailflow_runtime.errors import Unavailable

PROGRAM = Program(trigger=Trigger(types=("com.example.a",)), steps=(Send("hello", "end", "shop/hello"),))
FLOW = FlowPlan(namespace="shop", name="cart", revision=content_hash(PROGRAM))
PLANS = Plans(
    runtime=RuntimePlan(namespace="mail", name="default"),
    flows={"shop/cart": FLOW},
    programs={FLOW.revision: PROGRAM},
)


async def on_disk():
    """Everything that was decided is."""


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
    running = asyncio.create_task(
        Reporter(0, Catalog(PLANS), Census(), bucket, epoch=1, committed=on_disk, lost=lost).run()
    )

    async with asyncio.timeout(10):
        report = await bucket.written
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert report.behind_retention == reported


async def test_nothing_is_reported_before_it_is_on_disk():
    # Programs go from PLANS by what is reported, and what is not on disk may be taken back.
    bucket, asked, may_write = Bucket(0), asyncio.Event(), asyncio.Event()

    async def committed():
        asked.set()
        await may_write.wait()

    reporter = Reporter(0, Catalog(PLANS), Census(), bucket, epoch=1, committed=committed)
    running = asyncio.create_task(reporter.run())
    async with asyncio.timeout(10):
        await asked.wait()
        assert not bucket.written.done()
        may_write.set()
        await bucket.written
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Patchy:
    """A bucket that answers to every other write only."""

    def __init__(self):
        self.writes = []
        self.enough = asyncio.Event()

    async def read(self, shard):
        # What was not answered has not come yet.
        return {}

    async def write(self, shard, reports):
        self.writes.append(dict(reports))
        if len(self.writes) == 1:
            raise Unavailable("no answer")
        self.enough.set()

    async def pending(self, shard):
        return {}


async def test_a_report_without_an_answer_is_written_again_though_it_says_nothing_new():
    bucket = Patchy()
    reporter = Reporter(0, Catalog(PLANS), Census(), bucket, epoch=7, committed=on_disk)
    with pytest.raises(Unavailable):
        await reporter.run()
    # What is read now says the same as will be said, so nothing would be written.
    bucket.read = lambda _: answered(bucket.writes[0])

    running = asyncio.create_task(reporter.run())
    async with asyncio.timeout(10):
        await bucket.enough.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert bucket.writes[0] == bucket.writes[1]
    assert bucket.writes[0][FLOW.id].epoch == 7


async def answered(value):
    return value
