"""A dialogue that takes too long is given up in time, though one alarm lasts for many of them."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from emailflow_runtime.adapters.smtp.connection import Connection
from emailflow_runtime.core.smtp.dialogue import Dialogue
from emailflow_runtime.core.smtp.errors import TimedOut

SOON, LATER = 100.0, 200.0
"""Seconds from now. Nothing here waits so long: alarms go off when the test says."""


class Alarm:
    """One that may be cancelled."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.ring = callback
        self.set = True

    def cancel(self) -> None:
        self.set = False


class Loop:
    """A loop whose alarms go off when the test says."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._alarms: list[Alarm] = []
        self.begun = self._loop.time()

    def create_future(self) -> "asyncio.Future[None]":
        return self._loop.create_future()

    def call_at(self, at: float, callback: Callable[[], None]) -> Alarm:
        self._alarms.append(Alarm(at, callback))
        return self._alarms[-1]

    @property
    def alarms(self) -> list[float]:
        """When they go off, in seconds from the begin."""
        return [alarm.at - self.begun for alarm in self._alarms if alarm.set]

    def pass_until(self, seconds: float) -> None:
        """Let every alarm go off that is due until then."""
        while due := [each for each in self._alarms if each.set and each.at <= self.begun + seconds]:
            due[0].cancel()
            due[0].ring()


class Wire(asyncio.Transport):
    """Takes what is written."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def abort(self) -> None:
        pass


def asking() -> Dialogue[int]:
    reply = yield b"NOOP\r\n"
    return reply.code


@pytest.fixture
async def loop() -> Loop:
    return Loop()


@pytest.fixture
async def connection(loop: Loop) -> Connection:
    made = Connection(loop)  # type: ignore[arg-type] # as much of a loop as it uses
    made.connection_made(Wire())
    made.data_received(b"220 mx.example.com\r\n")
    await made.converse(_nothing(), give_up_at=loop.begun + LATER)
    return made


def _nothing() -> Iterator[bytes]:
    yield b""


async def begin(connection: Connection, loop: Loop, give_up: float) -> "asyncio.Task[int]":
    """A dialogue that waits for its answer."""
    task = asyncio.create_task(connection.converse(asking(), give_up_at=loop.begun + give_up))
    await asyncio.sleep(0)
    return task


async def answered(connection: Connection, loop: Loop, give_up: float) -> None:
    """A dialogue that has had its answer."""
    task = await begin(connection, loop, give_up)
    connection.data_received(b"250 ok\r\n")
    assert await task == 250


async def test_one_that_takes_too_long_is_given_up(connection: Connection, loop: Loop) -> None:
    task = await begin(connection, loop, LATER)
    loop.pass_until(LATER)
    with pytest.raises(TimedOut):
        await task
    assert not connection.open


async def test_the_alarm_of_one_before_ends_none_that_may_take_longer(
    connection: Connection, loop: Loop
) -> None:
    await answered(connection, loop, SOON)
    task = await begin(connection, loop, LATER)
    loop.pass_until(SOON)
    assert connection.open
    loop.pass_until(LATER)
    with pytest.raises(TimedOut):
        await task


async def test_one_that_may_take_less_than_the_one_before_is_given_up_in_its_own_time(
    connection: Connection, loop: Loop
) -> None:
    await answered(connection, loop, LATER)
    task = await begin(connection, loop, SOON)
    loop.pass_until(SOON)
    with pytest.raises(TimedOut):
        await task


async def test_an_alarm_between_two_dialogues_ends_neither(connection: Connection, loop: Loop) -> None:
    await answered(connection, loop, SOON)
    loop.pass_until(SOON)
    assert connection.open
    task = await begin(connection, loop, LATER)
    loop.pass_until(LATER)
    with pytest.raises(TimedOut):
        await task


async def test_many_dialogues_share_an_alarm(connection: Connection, loop: Loop) -> None:
    for more in range(20):
        await answered(connection, loop, LATER + more)
    assert loop.alarms == [LATER]


async def test_a_connection_that_has_ended_leaves_no_alarm(connection: Connection, loop: Loop) -> None:
    await answered(connection, loop, SOON)
    connection.abort()
    assert loop.alarms == []
