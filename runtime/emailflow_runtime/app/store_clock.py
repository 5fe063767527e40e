"""What time it is in a shard: the store's, which is the time that events have, whatever the pod's clock says.

Between two answers it goes on by the event loop's clock. It is never ahead, since an answer is as old as its
way: what waits for a moment may be late, never early.
"""

import asyncio
import logging

from emailflow_runtime.app.stores import StateStore
from emailflow_runtime.errors import Unavailable

SECOND = 1_000_000_000
LOOK_AGAIN = 30.0
"""Seconds after which the store is asked again: so long may a clock run away, or an owner not know that it is
none any more."""
RETRY_AFTER = 1.0

log = logging.getLogger(__name__)


class StoreClock:
    """The port Clock, once it has been set."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._ahead = 0
        """By so much is the store's time ahead of the loop's."""

    def now(self) -> int:
        """See Clock."""
        return self._ahead + self._passed()

    async def set(self) -> None:
        """Ask the store; keeps trying, and what was known goes on meanwhile. Raises EpochLost."""
        while True:
            asked = self._passed()
            try:
                answer = await self._store.now()
            except Unavailable as away:
                log.info("the store's time is not known: %s", away)
                await asyncio.sleep(RETRY_AFTER)
                continue
            # It was said between the question and now. What fits stays, so that time does not go back only
            # because one answer took longer than the one before.
            if not answer - self._passed() <= self._ahead <= answer - asked:
                self._ahead = answer - self._passed()
            return

    async def keep(self) -> None:
        """Stay right, until cancelled. Raises EpochLost: nothing else tells it to an owner that no input
        comes to, and nobody would wake whom the next owner has let wait."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            await self.set()

    @staticmethod
    def _passed() -> int:
        return int(asyncio.get_running_loop().time() * SECOND)
