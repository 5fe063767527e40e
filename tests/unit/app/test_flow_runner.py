"""One flow on one shard: which events it reads, and what it leaves alone while it is suspended."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_api.jetstream.topology import REPLAY_REQUESTED
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.flow_runner import FlowRunner
from emailflow_runtime.app.stores import DeliveredEvent, Standing
from emailflow_runtime.core.cloudevents.event import CloudEvent

KIND, OLD_EXIT, NEW_EXIT = "com.example.viewed", "com.example.ordered", "com.example.left"
END = (p.End(name="fin"),)
BEFORE = p.Program(trigger=p.Trigger(types=(KIND,)), exits=(p.Exit(types=(OLD_EXIT,)),), steps=END)
NOW = p.Program(trigger=p.Trigger(types=(KIND,)), exits=(p.Exit(types=(NEW_EXIT,)),), steps=END)
OLD, NEW = p.content_hash(BEFORE), p.content_hash(NOW)
FLOW = p.FlowPlan(namespace="shop", name="tips", revision=NEW, earlier=(OLD,))
PLANS = p.Plans(
    runtime=p.RuntimePlan(
        namespace="mail", name="default", namespaces=("shop",), undeclared_readers=("shop",)
    ),
    flows={"shop/tips": FLOW},
    programs={OLD: BEFORE, NEW: NOW},
)
SUSPENDED = replace(PLANS, flows={"shop/tips": replace(FLOW, suspend=True)})


class Desk:
    """Notes what is decided; `loading` is called when something is read from STATE."""

    def __init__(self, loading: Callable[[], Any]) -> None:
        self.decided: list[int] = []
        self._loading = loading

    async def room(self) -> None:
        pass

    async def load(self, flow: str, contacts: Sequence[str]) -> None:
        await self._loading()

    async def decide(self, key: tuple[str, str], arrived: Any) -> None:
        self.decided.append(arrived.sequence)

    async def kept(self) -> None:
        pass

    def remembered(self) -> asyncio.Future[int]:
        return asyncio.get_running_loop().create_future()


class Feed:
    """Gives out two events, and no more. `plan`: what its consumer was made for; `then`: the same once it has
    given out something."""

    def __init__(self, plan: str = "", kind: str = KIND, then: str = "") -> None:
        event = CloudEvent(id="e", source="/shop", type=kind)
        self.plan = plan
        self.then = then
        self._batch = [DeliveredEvent(each, 0, "", event, "ana") for each in (1, 2)]

    async def take_over(self) -> Standing:
        return await self.standing()

    async def standing(self) -> Standing:
        return Standing(2, 0, 0, self.plan)

    async def next_batch(self) -> list[DeliveredEvent]:
        self.plan = self.then or self.plan
        batch, self._batch = self._batch, []
        if not batch:
            await asyncio.Event().wait()
        return batch


def runner(catalog: Catalog, desk: Any = None, *, suspect: int = 0, feed: Any = None) -> FlowRunner:
    async def number(*_: object) -> int:
        return suspect

    async def nothing(*_: object) -> None:
        pass

    @asynccontextmanager
    async def holding(_: str) -> Any:
        await asyncio.sleep(0)
        yield False

    one_by_one: Any = SimpleNamespace(limit=number, holding=holding)
    barrier: Any = SimpleNamespace(end=number, read=nothing)
    others: Any = None
    return FlowRunner(
        "shop_tips",
        feed or Feed(),
        desk=desk,
        catalog=catalog,
        reading=others,
        barrier=barrier,
        replayer=others,
        one_by_one=one_by_one,
    )


async def test_it_reads_what_those_on_an_earlier_revision_leave_by() -> None:
    # A timer of theirs must not overtake it.
    assert runner(Catalog(PLANS)).types == {KIND, OLD_EXIT, NEW_EXIT, REPLAY_REQUESTED}


async def test_it_reads_no_more_for_a_revision_that_nobody_is_on() -> None:
    catalog = Catalog(PLANS)
    made = runner(catalog)
    assert OLD_EXIT in made.types
    await catalog.replace(replace(PLANS, flows={"shop/tips": replace(FLOW, earlier=())}))
    assert made.types == {KIND, NEW_EXIT, REPLAY_REQUESTED}


async def decided_around_a_suspension(suspect: int) -> tuple[list[int], list[int]]:
    """What is decided of two events while a flow is suspended as soon as its state is read, and after."""
    catalog = Catalog(PLANS)
    suspended = asyncio.Event()

    async def suspend() -> None:
        if not suspended.is_set():
            await catalog.replace(SUSPENDED)
            suspended.set()

    desk = Desk(suspend)
    running = asyncio.create_task(runner(catalog, desk, suspect=suspect).run())
    try:
        await suspended.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        meanwhile = list(desk.decided)
        await catalog.replace(PLANS)
        for _ in range(50):
            await asyncio.sleep(0)
        return meanwhile, desk.decided
    finally:
        running.cancel()


async def test_a_suspension_that_comes_while_state_is_read_holds_the_events_at_hand() -> None:
    assert await decided_around_a_suspension(suspect=0) == ([], [1, 2])


async def test_it_holds_those_that_are_taken_one_by_one_too() -> None:
    assert await decided_around_a_suspension(suspect=2) == ([], [1, 2])


async def nothing_read() -> None:
    pass


async def decided_around_a_plan(before: p.Plans, after: p.Plans, feed: Feed) -> tuple[list[int], list[int]]:
    """What is decided before a plan is heard of, and after."""
    catalog, desk = Catalog(before), Desk(nothing_read)
    running = asyncio.create_task(runner(catalog, desk, feed=feed).run())
    try:
        for _ in range(50):
            await asyncio.sleep(0)
        meanwhile = list(desk.decided)
        await catalog.replace(after)
        for _ in range(100):
            await asyncio.sleep(0)
        return meanwhile, desk.decided
    finally:
        running.cancel()


STALE = replace(PLANS, flows={"shop/tips": replace(FLOW, revision=OLD, earlier=())})
MADE_FOR = p.content_hash(FLOW)


async def test_a_new_owner_decides_by_no_older_plan_than_the_consumer_was_made_for() -> None:
    assert await decided_around_a_plan(STALE, PLANS, Feed(MADE_FOR)) == ([], [1, 2])


async def test_a_plan_in_between_is_not_the_one_that_is_waited_for() -> None:
    assert await decided_around_a_plan(STALE, SUSPENDED, Feed(MADE_FOR)) == ([], [])


async def test_an_event_that_the_plan_does_not_know_waits_for_the_plan_that_does() -> None:
    by_the_old_one = p.content_hash(STALE.flows["shop/tips"])
    feed = Feed(by_the_old_one, kind=NEW_EXIT, then=MADE_FOR)
    assert await decided_around_a_plan(STALE, PLANS, feed) == ([], [1, 2])


async def test_events_of_known_types_wait_for_no_plan() -> None:
    # Whoever owns the flow goes on while the operator has come half-way.
    feed = Feed(p.content_hash(STALE.flows["shop/tips"]), then=MADE_FOR)
    assert await decided_around_a_plan(STALE, STALE, feed) == ([1, 2], [1, 2])
