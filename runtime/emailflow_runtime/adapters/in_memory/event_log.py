"""EVENTS in memory."""

import asyncio
from collections.abc import Collection, Sequence

from emailflow_api.jetstream.naming import FACTS
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.weights import event_weight
from emailflow_runtime.errors import MessageTooLarge


class InMemoryEventLog:
    """The port EventLog."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @property
    def largest(self) -> int:
        """See EventLog."""
        return self._broker.largest

    async def append(self, entries: Sequence[LogEntry]) -> None:
        """See EventLog."""
        await asyncio.sleep(0)
        for entry in entries:
            if (size := event_weight(entry.event)) > self.largest:
                raise MessageTooLarge(f"expected at most {self.largest} bytes in one message, got {size}")
            self._broker.append(entry)

    async def last_sequence(self, shard: int) -> int:
        """See EventLog."""
        await asyncio.sleep(0)
        return self._broker.last_event(shard)

    async def last_arrival(self, shard: int) -> int:
        """See EventLog."""
        await asyncio.sleep(0)
        return self._broker.last_event(shard, lambda kind: kind not in FACTS)

    async def last_fact(self, shard: int, types: Collection[str]) -> int:
        """See EventLog."""
        await asyncio.sleep(0)
        return self._broker.last_event(shard, types.__contains__)

    async def fill(self) -> float:
        """See EventLog."""
        await asyncio.sleep(0)
        return self._broker.fill
