"""What became of seeds that failed: answers that the operator did not get, each a test of its own now."""

import asyncio

import pytest
from tests.simulation import revisions
from tests.simulation.applying import Applied
from tests.simulation.kv import Bucket
from tests.simulation.operating import ACCESS, OWNER, Connection, Data, JetStream

from emailflow_api import plans as p
from emailflow_api.plans.entries import from_entries
from emailflow_api.reports import FlowReport, encode, key
from emailflow_operator.errors import NatsUnreachable
from emailflow_operator.reconcile.desired import Compiled
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.errors import Unavailable

CART = "shop/cart"


class Line:
    """The network of these tests: `loses` says of which calls the answer is lost; the effect is there."""

    def __init__(self):
        self.loses = lambda subject: False
        self._subject = ""

    def chance(self, _):
        return False

    def note(self, _, subject="", *__):
        self._subject = subject

    async def call(self, name, effect):
        result = effect()
        await asyncio.sleep(0)
        if self.loses(self._subject if name in {"api", "put"} else name):
            raise Unavailable(f"no answer to {name}")
        return result


class Installation:
    """An operator, and what it has written."""

    def __init__(self):
        self.plans, self.reports = Bucket(), Bucket()
        self.line = Line()
        self.applied = Applied(1)
        self.broker = Broker(LoopClock(0))
        self.connection = Connection(JetStream(self.broker, self.plans, self.reports), self.line)
        self.connection.subscribe = _unheard
        self.data = Data(self.connection, lambda: None)

    async def apply(self):
        await self.data.make_equal(OWNER, ACCESS, Compiled(self.applied.plans(), {}))

    async def fail(self, loses):
        self.line.loses = loses
        with pytest.raises(NatsUnreachable):
            await self.apply()
        self.line.loses = lambda _: False

    @property
    def written(self):
        return from_entries(self.plans.values)

    def has_consumer(self, flow):
        return (flow, 0) in self.broker._consumers

    def report(self, flow, **journeys):
        plan = self.written.flows[flow]
        said = FlowReport(plan=p.content_hash(plan), revision=plan.revision, journeys=journeys)
        self.reports.put(key(0, plan.id), encode(said))


async def _unheard(*_):
    pass


@pytest.fixture
async def installation():
    made = Installation()
    await made.apply()
    return made


def revision(number):
    return p.content_hash(revisions.PROGRAMS["cart"][number])


async def test_a_deletion_that_was_not_answered_is_not_taken_for_undone(installation):
    before = p.content_hash(installation.written.flows[CART])
    installation.applied.suspended.add("cart")
    # The plan before is deleted last.
    await installation.fail(lambda subject: subject == f"content.{before}")
    installation.applied.suspended.clear()
    await installation.apply()
    assert installation.written.flows[CART] == installation.applied.plans().flows[CART]


async def test_a_revision_of_which_only_a_part_was_written_counts_as_an_earlier_one(installation):
    installation.applied.numbers["cart"] = 1
    await installation.fail(lambda subject: subject == "current.flow.shop_cart")
    installation.applied.numbers["cart"] = 2
    await installation.apply()
    assert installation.written.flows[CART].earlier == (revision(1), revision(0))
    assert revision(1) in installation.written.programs


async def test_a_consumer_whose_deletion_was_not_answered_is_made_again(installation):
    number = installation.applied.numbers.pop("cart")
    await installation.apply()
    installation.report(CART)
    await installation.fail(lambda subject: subject.startswith("CONSUMER.DELETE."))
    assert not installation.has_consumer("shop_cart")
    installation.applied.numbers["cart"] = number
    await installation.apply()
    assert installation.has_consumer("shop_cart")


async def test_a_report_counts_though_the_rest_of_the_reports_could_not_be_read(installation):
    installation.applied.numbers["cart"] = 1
    installation.report(CART, **{revision(0): 1})
    await installation.apply()
    installation.report(CART)
    pages = iter((False, True))
    await installation.fail(lambda name: name == "page" and next(pages))
    await installation.apply()
    assert installation.written.flows[CART].earlier == ()
