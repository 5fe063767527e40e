"""A provider's lane: how many mails may be on their way to it at once, and how fast they follow.

Each provider has its own, so that a slow one holds nobody else's mails.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from emailflow_api.plans import Rate


class TokenBucket:
    """At most `per_second` a second, with a reserve of `burst`. Times are the event loop's."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._capacity = float(max(burst, 1))
        self._tokens = self._capacity
        self._at = asyncio.get_running_loop().time()

    def reserve(self) -> float:
        """Take one, and the seconds until it may be used."""
        now = asyncio.get_running_loop().time()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._per_second)


class Lane:
    """The way to one provider."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._slots = asyncio.Semaphore(max(rate.concurrency, 1))
        self._bucket = TokenBucket(rate.per_second, rate.burst) if rate.per_second else None
        self._domains = {
            each.domain.lower(): TokenBucket(each.per_second, 1)
            for each in rate.per_domain
            if each.per_second
        }

    @asynccontextmanager
    async def slot(self, address: str) -> AsyncIterator[None]:
        """Hold a place in the lane for a mail to this address, once its turn has come."""
        domain = self._domains.get(address.rpartition("@")[2].lower())
        for bucket in (domain, self._bucket):
            if bucket is not None and (pause := bucket.reserve()):
                await asyncio.sleep(pause)
        async with self._slots:
            yield
