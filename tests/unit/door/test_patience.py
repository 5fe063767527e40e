"""Everybody gets the same time, whoever else waits, though one alarm goes off for all."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.unit.lanes.conftest import JumpingLoop

from emailflow_runtime.adapters.http_door.patience import Patience

Story = Callable[[], Awaitable[None]]


@pytest.fixture
def told() -> Callable[[Story], None]:
    """Runs a story on a loop whose clock jumps to the next moment at which something happens."""

    def run(story: Story) -> None:
        async def whole() -> None:
            await story()

        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            runner.run(whole())

    return run


def now() -> float:
    return asyncio.get_running_loop().time()


async def begun(patience: Patience, seconds: float) -> "asyncio.Task[float]":
    """A wait for something that takes so long; it comes to the moment of its end."""

    async def something() -> float:
        await asyncio.sleep(seconds)
        return now()

    task = asyncio.create_task(patience.wait(something()))
    await asyncio.sleep(0)
    return task


def test_who_takes_too_long_is_told_so_in_time(told: Callable[[Story], None]) -> None:
    async def story() -> None:
        task = await begun(Patience(10), 11)
        with pytest.raises(TimeoutError):
            await task
        assert now() == 10

    told(story)


def test_who_begins_later_has_as_much_time(told: Callable[[Story], None]) -> None:
    async def story() -> None:
        patience = Patience(10)
        first = await begun(patience, 11)
        await asyncio.sleep(5)
        second, third = await begun(patience, 9), await begun(patience, 11)
        with pytest.raises(TimeoutError):
            await first
        assert await second == 14
        with pytest.raises(TimeoutError):
            await third
        assert now() == 15

    told(story)


def test_who_was_in_time_is_left_alone_afterwards(told: Callable[[Story], None]) -> None:
    async def story() -> None:
        patience = Patience(10)

        async def twice() -> float:
            await patience.wait(asyncio.sleep(6))
            await asyncio.sleep(6)
            await patience.wait(asyncio.sleep(6))
            return now()

        assert await asyncio.create_task(twice()) == 18

    told(story)


def test_a_task_that_is_cancelled_is_cancelled(told: Callable[[Story], None]) -> None:
    async def story() -> None:
        patience = Patience(10)
        task, other = await begun(patience, 5), await begun(patience, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await other == 5

    told(story)


def test_one_who_is_cancelled_just_when_its_time_is_over_is_cancelled(told: Callable[[Story], None]) -> None:
    async def story() -> None:
        task = await begun(Patience(10), 11)
        asyncio.get_running_loop().call_at(10, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    told(story)


def test_an_error_of_what_is_waited_for_is_its_own(told: Callable[[Story], None]) -> None:
    async def fails() -> None:
        raise ValueError

    async def story() -> None:
        with pytest.raises(ValueError):
            await Patience(10).wait(fails())

    told(story)
