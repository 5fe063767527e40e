"""What the operator wrote to PLANS, and what comes late of it, on a real nats-server."""

from typing import Any

import pytest

from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.nats_connection import NatsConnection
from emailflow_operator.errors import JetStreamRefused, NatsUnreachable

RUNTIME = RuntimePlan(namespace="mail", name="default")
NAMES = Names("mail", "default")
FLOW = "current.flow.shop_tips"


class Holding:
    """A connection whose server holds what is written, without an answer, until it `goes_on`."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection
        self.held: list[tuple[Any, ...]] = []
        self.paused = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def request(self, subject: str, data: bytes, headers: Any = None) -> Any:
        if self.paused and subject.startswith("$KV."):
            self.held.append((subject, data, headers))
            raise NatsUnreachable("no answer from NATS")
        return await self._connection.request(subject, data, headers)

    async def goes_on(self) -> None:
        for each in self.held:
            await self._connection.request(*each)


@pytest.fixture
async def connection(nats: NatsConnection) -> Any:
    await DataPlane(nats, NAMES).ensure_streams(streams(RUNTIME, events_bytes=128 << 20))
    return Holding(nats)


async def lost(data: DataPlane, connection: Holding, entries: dict[str, bytes]) -> None:
    """Write this by a server that is paused meanwhile."""
    connection.paused = True
    with pytest.raises(NatsUnreachable):
        await data.write_plans(entries)
    connection.paused = False


@pytest.mark.parametrize("then", [{FLOW: b"three"}, {FLOW: b"one"}, {}], ids=["another", "as before", "gone"])
async def test_a_plan_that_comes_late_changes_nothing(connection: Any, then: dict[str, bytes]) -> None:
    data = DataPlane(connection, NAMES)
    await data.write_plans({FLOW: b"one"})
    await lost(data, connection, {FLOW: b"two"})
    await data.write_plans(then)

    await connection.goes_on()

    assert await DataPlane(connection, NAMES).read_plans() == then
    await data.write_plans({FLOW: b"four"})
    assert await data.read_plans() == {FLOW: b"four"}


async def test_a_deletion_that_comes_late_deletes_nothing(connection: Any) -> None:
    data = DataPlane(connection, NAMES)
    await data.write_plans({FLOW: b"one"})
    await lost(data, connection, {})
    await data.write_plans({FLOW: b"one"})

    await connection.goes_on()

    assert await DataPlane(connection, NAMES).read_plans() == {FLOW: b"one"}


async def test_whoever_leads_no_more_writes_over_nothing(connection: Any) -> None:
    first, second = DataPlane(connection, NAMES), DataPlane(connection, NAMES)
    await first.write_plans({FLOW: b"one"})
    await second.read_plans()
    await second.write_plans({FLOW: b"two"})

    with pytest.raises(JetStreamRefused):
        await first.write_plans({FLOW: b"three"})

    await first.write_plans({FLOW: b"three"})
    assert await second.read_plans() == {FLOW: b"three"}
