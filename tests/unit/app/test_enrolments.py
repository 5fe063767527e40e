"""Loading enrolments: many who want the same one share one question to STATE."""

import asyncio
from collections.abc import Iterable

from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.journey import Enrolment

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
