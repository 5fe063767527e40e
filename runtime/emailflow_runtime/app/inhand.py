"""What is in hand: after an unclean end inputs are taken one by one, each after a guarded note of it, so that
one that takes processes down is found out and put aside.

It counts owners that did not come back, since a consumer that is reset counts its deliveries anew. What an
input is, and what becomes of a poisonous one, is its reader's business. It never waits for anything but the
writer while something is in hand.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emailflow_runtime.app.stores import Feed, InHand, PutInHand
from emailflow_runtime.app.writer import Writer
from emailflow_runtime.errors import EmailFlowError, Unavailable

DEATHS = 3
"""How many owners may end with an input in hand before it is a dead letter."""
POISONED = f"{DEATHS} owners of its shard ended while this was in hand"
RETRY_AFTER = 0.5

log = logging.getLogger(__name__)


class OneByOne:
    """One for each owner of a shard. `turn` is shared by all shards of the process: whatever takes it down
    must be the only thing that is in hand."""

    def __init__(self, writer: Writer, turn: asyncio.Lock) -> None:
        self._writer = writer
        self._turn = turn
        self._in_hand = InHand(clean=True)
        self._times: dict[str, int] = {}

    @property
    def unclean(self) -> bool:
        """Whether the owner before did not end in good order."""
        return not self._in_hand.clean

    @property
    def again(self) -> bool:
        """Whether it was not the only one: then also what STATE holds half-done is taken one by one, which
        costs a busy shard seconds."""
        return self.unclean and self._in_hand.ends > 1

    async def begin(self, left: InHand) -> None:
        """Take up what the owner before left. Returns when it is on disk that this one has begun."""
        if left.clean:
            return
        self._times = dict(left.times)
        self._in_hand = InHand(ends=left.ends + 1)
        await self._note()

    def end(self) -> None:
        """Say that this owner ends in good order; on disk with what is committed next."""
        self._in_hand, self._times = InHand(clean=True), {}
        self._note()

    async def limit(self, feed: Feed) -> int:
        """The sequence up to which a feed's messages are taken one by one: what nobody was given took nobody
        down. To be asked before the feed is taken over."""
        while self.unclean:
            try:
                return (await feed.standing()).delivered
            except Unavailable:
                await asyncio.sleep(RETRY_AFTER)
            except EmailFlowError as none:
                log.debug("nothing was delivered by a consumer that is not there: %s", none)
                break
        return 0

    @asynccontextmanager
    async def holding(self, name: str) -> AsyncIterator[bool]:
        """Hold the input of this name alone. Gives whether it is poison: then it must be put aside, and it
        stays known as poison, since it comes again when its acknowledgement is lost."""
        if not self.unclean:
            yield False
            return
        async with self._turn:
            times = self._times.get(name, 0)
            if times >= DEATHS:
                log.error("%s is put aside", name, extra={"reason": "PoisonInput"})
                yield True
                return
            self._times[name] = times + 1
            await self._note()
            try:
                yield False
            finally:
                # It came back: whatever it did, it took nothing down.
                if self._times.pop(name, None):
                    self._note()

    def _note(self) -> asyncio.Future[int]:
        in_hand = InHand(dict(self._times), self._in_hand.ends, self._in_hand.clean)
        return self._writer.submit((PutInHand(in_hand),))
