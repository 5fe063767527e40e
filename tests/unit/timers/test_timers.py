"""Timers: who is woken, when, and what becomes of those that can't be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from emailflow_runtime.app.flow_runner import ATTEMPTS
from emailflow_runtime.app.store_clock import LOOK_AGAIN, SECOND, StoreClock
from emailflow_runtime.app.stores import EnrolmentKey, RecordHead
from emailflow_runtime.app.timers import Timers
from emailflow_runtime.app.waits import Wait
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.inputs import Input, JourneyBroken, TimerFired
from emailflow_runtime.core.journey import Enrolment, Journey
from emailflow_runtime.errors import EpochLost, ProgramNotFound, Unavailable

NOON = 1_800_000_000 * SECOND
CART, NUDGE = "shop_cart", "shop_nudge"


class House:
    """Everything that timers touch. Its own time is the store's; the loop's starts at 0."""

    def __init__(self) -> None:
        self.journeys: dict[EnrolmentKey, Journey] = {}
        self.decided: list[tuple[str, Input, float]] = []
        """By contact: what came, and when by the loop."""
        self.ahead = NOON
        self.asked = 0
        self.away: list[Exception] = []
        self.failing: set[str] = set()
        self.released = asyncio.Event()
        self.released.set()
        self.runners: dict[str, SimpleNamespace] = {}
        self.usable = asyncio.Event()
        self.usable.set()
        self.way = 0.0
        """Seconds that the store's next answer takes to come back."""
        self.barrier = 0.0
        self.start(CART)
        self.clock = StoreClock(self)  # type: ignore[arg-type] # its time is all that is asked of the store
        self.timers = Timers(
            self.clock,
            self,  # type: ignore[arg-type] # what timers use of the desk
            self,  # type: ignore[arg-type] # and of the catalog
            self.runners,  # type: ignore[arg-type]
            SimpleNamespace(again=False),  # type: ignore[arg-type]
        )

    def start(self, flow: str) -> None:
        async def passed() -> None:
            await asyncio.sleep(self.barrier)

        self.runners[flow] = SimpleNamespace(flow=flow, passed=passed)

    def wait(self, contact: str, seconds: float, flow: str = CART) -> None:
        """The journey of this contact waits until so many seconds after noon, and nobody has been told."""
        due = NOON + int(seconds * SECOND)
        event = CloudEvent(id=contact, source="/shop", type="com.example.cart.updated")
        journey = Journey(contact, flow, contact, "-", "r1", event, NOON, 1, wake_at=due, timer=1)
        self.journeys[flow, contact] = journey

    def armed(self, contact: str, seconds: float, flow: str = CART) -> None:
        """The same, and it is decided on here."""
        self.wait(contact, seconds, flow)
        self.timers.arm(Wait(self.journeys[flow, contact].wake_at, flow, contact, "-"))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.clock.set()
        tasks = [asyncio.create_task(each) for each in (self.timers.run(), self.clock.keep())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def woken(self) -> list[tuple[str, float]]:
        return [(who, at) for who, arrived, at in self.decided if isinstance(arrived, TimerFired)]

    # --- what timers ask for ------------------------------------------------------------------------

    async def now(self) -> int:
        self.asked += 1
        if self.away:
            raise self.away.pop()
        answer = self.ahead + int(asyncio.get_running_loop().time() * SECOND)
        way, self.way = self.way, 0.0
        await asyncio.sleep(way)
        return answer

    def is_suspended(self, flow: str) -> bool:
        return not (self.released.is_set() and self.usable.is_set())

    async def until_released(self, flow: str) -> None:
        await self.usable.wait()
        await self.released.wait()

    async def room(self) -> None: ...

    async def load(self, flow: str, contacts: list[str]) -> None:
        if self.away:
            raise self.away.pop()
        if "unreadable" in contacts:
            raise ValueError("no record")

    async def entry(self, key: EnrolmentKey) -> SimpleNamespace:
        if key[1] == "unreadable":
            raise ValueError("no record")
        found = {"-": self.journeys[key]} if key in self.journeys else {}
        return SimpleNamespace(enrolment=Enrolment(*key, journeys=found))

    async def decide(self, key: EnrolmentKey, arrived: Input) -> None:
        if not self.usable.is_set():
            raise ProgramNotFound(key[0])
        self.decided.append((key[1], arrived, asyncio.get_running_loop().time()))
        if key[1] in self.failing and not isinstance(arrived, JourneyBroken):
            raise ZeroDivisionError
        self.journeys[key] = replace(self.journeys[key], timer=0, wake_at=0)


@pytest.fixture
def house() -> House:
    return House()


async def test_who_waits_is_woken_when_it_is_time_and_not_before(house: House) -> None:
    async with house.running():
        house.armed("late", 3600)
        house.armed("soon", 5)
        await asyncio.sleep(7200)
    assert [who for who, _ in house.woken] == ["soon", "late"]
    assert all(at >= due for (_, at), due in zip(house.woken, (5, 3600), strict=True))
    assert all(at < due + 1e-3 for (_, at), due in zip(house.woken, (5, 3600), strict=True))


async def test_what_the_scan_has_found_is_woken_and_at_once_if_it_is_overdue(house: House) -> None:
    for contact, seconds in (("overdue", -86_400), ("later", 60)):
        house.wait(contact, seconds)
        at = house.journeys[CART, contact].wake_at
        house.timers.found(RecordHead(CART, contact, "-", 1, at, ""))
    house.timers.found(RecordHead(CART, "nothing", "-", 2, 0, ""))
    async with house.running():
        await asyncio.sleep(120)
    assert [who for who, _ in house.woken] == ["overdue", "later"]
    assert house.woken[0][1] == 0


async def test_a_journey_that_waits_for_something_else_by_now_is_left_alone(house: House) -> None:
    async with house.running():
        house.armed("restarted", 5)
        house.armed("restarted", 50)
        house.armed("gone", 5)
        del house.journeys[CART, "gone"]
        await asyncio.sleep(20)
        assert house.woken == []
        await asyncio.sleep(60)
    assert [who for who, _ in house.woken] == ["restarted"]


async def test_the_stores_clock_decides_and_is_asked_again(house: House) -> None:
    async with house.running():
        house.armed("ana", 3600)
        await asyncio.sleep(1)
        house.ahead -= 1000 * SECOND
        await asyncio.sleep(4000)
        assert house.woken == []
        await asyncio.sleep(1000)
    assert [who for who, _ in house.woken] == ["ana"]
    assert house.woken[0][1] >= 4600


async def test_a_store_that_is_away_is_asked_until_it_answers(house: House) -> None:
    house.away = [Unavailable("no answer")] * 3
    async with house.running():
        house.armed("ana", 1)
        await asyncio.sleep(10)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_an_owner_that_nothing_comes_to_finds_out_that_it_is_none_any_more(house: House) -> None:
    await house.clock.set()
    house.away = [EpochLost("another process owns this shard now")]
    with pytest.raises(EpochLost):
        await house.clock.keep()
    assert house.asked == 2


async def test_what_is_due_while_its_flow_is_held_waits(house: House) -> None:
    house.released.clear()
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(60)
        assert house.woken == []
        house.released.set()
        await asyncio.sleep(1)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_what_is_due_in_a_flow_that_does_not_run_here_waits_for_it(house: House) -> None:
    async with house.running():
        house.armed("ben", 5, NUDGE)
        house.armed("ana", 6)
        await asyncio.sleep(60)
        assert [who for who, _ in house.woken] == ["ana"]
        house.start(NUDGE)
        house.timers.resume(NUDGE)
        await asyncio.sleep(1)
    assert [who for who, _ in house.woken] == ["ana", "ben"]


async def test_a_flow_that_stops_keeps_what_it_has_not_woken(house: House) -> None:
    house.released.clear()
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(10)
        runner = house.runners.pop(CART)
        house.timers.pause(CART)
        house.released.set()
        await asyncio.sleep(10)
        assert house.woken == []
        house.runners[CART] = runner
        house.timers.resume(CART)
        await asyncio.sleep(1)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_a_journey_that_breaks_holds_nobody_and_ends_after_a_few_attempts(house: House) -> None:
    house.failing = {"broken"}
    async with house.running():
        house.armed("broken", 5)
        house.armed("ana", 5.001)
        await asyncio.sleep(60)
    mine = [arrived for who, arrived, _ in house.decided if who == "broken"]
    assert [type(each) for each in mine] == [TimerFired] * ATTEMPTS + [JourneyBroken]
    assert isinstance(mine[-1], JourneyBroken)
    assert (mine[-1].reason, mine[-1].message) == ("PoisonInput", "ZeroDivisionError: ")
    assert "ana" in dict(house.woken)


async def test_what_could_not_be_loaded_is_woken_later(house: House) -> None:
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(1)
        house.away = [Unavailable("no answer")]
        await asyncio.sleep(20)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_an_answer_that_takes_long_does_not_turn_time_back(house: House) -> None:
    house.barrier = 0.15
    async with house.running():
        house.armed("ana", LOOK_AGAIN + 0.1)
        await asyncio.sleep(LOOK_AGAIN - 1)
        house.way = 0.2
        await asyncio.sleep(10)
    assert [who for who, _ in house.woken] == ["ana"]
    assert house.woken[0][1] < LOOK_AGAIN + 0.5


async def test_who_was_taken_out_before_the_clock_was_set_back_is_woken_in_the_end(house: House) -> None:
    month = 30 * 86_400 * SECOND
    async with house.running():
        house.armed("ana", 3600)
        house.released.clear()
        house.ahead += month
        await asyncio.sleep(100)
        house.ahead -= month
        await asyncio.sleep(100)
        house.released.set()
        await asyncio.sleep(1800)
        assert house.woken == []
        await asyncio.sleep(1800)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_a_flow_without_a_plan_for_a_moment_loses_nobody(house: House) -> None:
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(4)
        house.usable.clear()
        await asyncio.sleep(10)
        house.usable.set()
        await asyncio.sleep(LOOK_AGAIN)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_a_plan_that_goes_while_somebody_is_woken_loses_nobody(house: House) -> None:
    house.barrier = 2
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(6)
        house.usable.clear()
        await asyncio.sleep(10)
        house.usable.set()
        await asyncio.sleep(LOOK_AGAIN + 5)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_who_is_at_the_barrier_when_its_flow_is_suspended_waits(house: House) -> None:
    house.barrier = 5
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(7)
        house.released.clear()
        await asyncio.sleep(60)
        assert house.woken == []
        house.released.set()
        await asyncio.sleep(10)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_a_record_that_can_not_be_read_holds_no_other(house: House) -> None:
    async with house.running():
        house.armed("unreadable", 5)
        house.armed("ana", 5.001)
        await asyncio.sleep(60)
    assert [who for who, _ in house.woken] == ["ana"]


async def test_a_cart_that_changes_each_second_has_one_entry(house: House) -> None:
    async with house.running():
        house.armed("ana", 3600)
        for second in range(1, 1000):
            await asyncio.sleep(1)
            before = house.journeys[CART, "ana"].wake_at
            house.wait("ana", 3600 + second)
            house.timers.arm(Wait(house.journeys[CART, "ana"].wake_at, CART, "ana", "-"), before)
        put = house.timers._waits
        assert len(put._near) + sum(map(len, put._far.values())) < 100
        await asyncio.sleep(7200)
    assert [who for who, _ in house.woken] == ["ana"]
    assert house.woken[0][1] >= 3600 + 999


async def test_who_waits_again_after_being_woken_is_woken_again(house: House) -> None:
    async with house.running():
        house.armed("ana", 5)
        await asyncio.sleep(10)
        before = NOON + 5 * SECOND
        house.wait("ana", 20)
        house.timers.arm(Wait(NOON + 20 * SECOND, CART, "ana", "-"), before)
        await asyncio.sleep(60)
    assert [who for who, _ in house.woken] == ["ana", "ana"]


async def test_who_falls_due_while_others_are_at_the_barrier_waits_at_one_of_its_own(house: House) -> None:
    house.barrier = 2
    async with house.running():
        house.armed("ana", 5)
        house.armed("ben", 6)
        await asyncio.sleep(20)
    assert [who for who, _ in house.woken] == ["ana", "ben"]
    assert house.woken[1][1] >= 6 + 2


async def test_a_shard_that_stops_wakes_nobody_any_more(house: House) -> None:
    async with house.running():
        house.armed("ana", 5)
        house.timers.stop()
        await asyncio.sleep(60)
    assert house.woken == []
