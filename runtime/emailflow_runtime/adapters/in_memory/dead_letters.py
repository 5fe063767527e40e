"""DEADLETTER in memory."""

import asyncio

from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.app.stores import DeadLetter


class InMemoryDeadLetters:
    """The port DeadLetters."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def keep(self, letter: DeadLetter) -> None:
        """See DeadLetters."""
        await asyncio.sleep(0)
        self._broker.letters.append(letter)
