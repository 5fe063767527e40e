"""Loading enrolments: many who want the same one share one question to STATE."""

import asyncio
from collections.abc import Iterable

from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.journey import Enrolment, Journey

KEY = ("shop_cart", "c1")


class Store:
    """Answers when told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.release = asyncio.Event()

    async def enrolments(self, keys: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        self.asked += 1
        await self.release.wait()
        return {}


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    store = Store()
    enrolments = Enrolments(store)  # type: ignore[arg-type] # the rest of the port is not theirs
    loading, leaving, staying = (asyncio.create_task(enrolments.fetch(KEY)) for _ in range(3))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait((leaving,))
    store.release.set()
    async with asyncio.timeout(5):
        assert await loading is await staying
    assert store.asked == 1


class Full(Store):
    """Has a journey for everybody, which entered by an event of 100 KB."""

    async def enrolments(self, keys: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        event = CloudEvent(id="1", source="/s", type="t", data=b"x" * 100_000)
        found = {}
        for flow, contact in keys:
            place = {"flow": flow, "contact": contact, "instance": "-", "revision": "r", "event": event}
            found[flow, contact] = Enrolment(flow, contact, {"-": Journey(id="j", at=1, sequence=1, **place)})
        return found


async def test_what_is_kept_is_bounded_by_what_it_weighs() -> None:
    enrolments = Enrolments(Full(), most=2_000_000)  # type: ignore[arg-type] # as above
    for number in range(100):
        await enrolments.load([("shop_cart", f"c{number}-{each}") for each in range(5)])
    assert 0 < len(enrolments) * 100_000 <= 2_500_000
    # Those that were used last are the ones that are there.
    assert enrolments.get(("shop_cart", "c99-4")) is not None
    assert enrolments.get(("shop_cart", "c0-0")) is None


async def test_after_a_time_in_which_nothing_could_go_no_more_is_kept_than_before() -> None:
    enrolments = Enrolments(Full(), most=2_000_000)  # type: ignore[arg-type] # as above
    held = []
    for number in range(50):
        held.append(await enrolments.fetch(("shop_cart", f"held{number}")))
        held[-1].in_flight += 1
    assert len(enrolments) == 50
    for entry in held:
        entry.in_flight -= 1
    enrolments.weigh(held[-1])
    assert len(enrolments) * 100_000 <= 2_000_000


async def test_what_is_not_on_disk_yet_stays_whatever_it_weighs() -> None:
    enrolments = Enrolments(Full(), most=2_000_000)  # type: ignore[arg-type] # as above
    held = [await enrolments.fetch(("shop_cart", f"held{number}")) for number in range(50)]
    for entry in held:
        entry.in_flight += 1
    await enrolments.load([("shop_cart", f"c{number}") for number in range(100)])
    assert all(enrolments.get(("shop_cart", each.enrolment.contact)) is each for each in held[-10:])
