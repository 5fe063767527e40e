"""A provider's lane: how many mails may be on their way to it at once, how fast they follow, and whether any
may at all.

Each provider has its own, so that a slow one holds nobody else's mails. What a replica may use of a
provider is its share of the shards (ADR 0012), so all replicas together keep what the provider allows. A
mail whose turn is far away is sent back, to wait on disk.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Container
from contextlib import asynccontextmanager
from typing import NamedTuple

from emailflow_api.plans import ProviderPlan
from emailflow_runtime.app.breaker import Breaker, troubled
from emailflow_runtime.core.outcomes import Outcome
from emailflow_runtime.errors import EmailFlowError

LONGEST_WAIT = 30.0
"""Seconds that a mail waits in memory for its turn."""
MOMENT = 0.5
"""Seconds that a mail may take from its place in the lane to its outcome before fewer have one: a tenth of
what an intent lasts."""
AHEAD = 32
"""Places for each mail that the provider takes at a time, at most. Intents share commits, so a provider that
takes mails in a millisecond deserves more of them on their way than it has connections."""
MOST_WAITING = 10_000
"""Mails that wait in memory for one provider."""
PARKED_AT_LEAST = 10.0


class LaneState(NamedTuple):
    """How a provider's lane stands: whether its circuit is closed (mails go out as usual), how many may be on
    their way at once, how many are, and how many wait in memory."""

    provider: str
    closed: bool
    places: int
    under_way: int
    waiting: int


class LaneClosed(EmailFlowError):
    """The mail can't go now; it should wait for `pause` seconds, on disk."""

    def __init__(self, reason: str, message: str, pause: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.pause = max(pause, PARKED_AT_LEAST)


class TokenBucket:
    """At most `per_second` a second, with a reserve of `burst`. Times are the event loop's.

    It begins empty: whoever sent before may have used the reserve up a moment ago.
    """

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._capacity = burst
        self._tokens = 0.0
        self._at = self._last_parked = _now()

    def reshare(self, per_second: float, burst: float) -> None:
        """Keep to this from now on; what has been saved up is not more for it."""
        self._refill()
        self._per_second, self._capacity = per_second, burst
        self._tokens = min(self._tokens, burst)

    def wait(self) -> float:
        """Seconds that the next one would have to wait."""
        self._refill()
        return max(0.0, (1 - self._tokens) / self._per_second)

    def take(self) -> None:
        """Take one, for use after `wait`."""
        self._refill()
        self._tokens -= 1

    def backlog(self, waiting: int) -> float:
        """Seconds until so many have had their turn."""
        return self.wait() + waiting / self._per_second

    def park(self) -> float:
        """Seconds after which one that is sent back should come again: one after the other."""
        now = _now()
        self._last_parked = max(self._last_parked, now + LONGEST_WAIT) + 1 / self._per_second
        return self._last_parked - now

    def _refill(self) -> None:
        now = _now()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._per_second)
        self._at = now


class Handovers:
    """So many mails at a time. When there may be fewer, none begins until enough have ended."""

    def __init__(self) -> None:
        self.most = 0
        self._free = asyncio.Semaphore(0)
        self._surplus = 0
        """How many places are to go when they become free."""

    def resize(self, most: int) -> None:
        """Keep to this many from now on; who waits already is let in when there may be more."""
        more, self.most = most - self.most, most
        self._surplus += max(-more, 0)
        for _ in range(more):
            self._give_back()

    def _give_back(self) -> None:
        if self._surplus:
            self._surplus -= 1
        else:
            self._free.release()

    async def __aenter__(self) -> None:
        await self._free.acquire()
        while self._surplus:
            self._surplus -= 1
            await self._free.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._give_back()


class Lane:
    """The way to one provider."""

    def __init__(self, provider: ProviderPlan, share: float) -> None:
        self.provider = provider
        self._breaker = Breaker(provider.name, self._send_back)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._busy = 0
        self._handing_over = Handovers()
        self._open = 1
        """Mails that may be on their way now: one more with each success, so that a provider that is down
        is not met with many connections at once."""
        self._bucket: TokenBucket | None = None
        self._domains: dict[str, TokenBucket] = {}
        self._through: object = None
        self.keep_to(provider, share)

    def keep_to(self, provider: ProviderPlan, share: float) -> None:
        """Keep to this share of what the provider allows from now on."""
        self.provider, rate = provider, provider.rate
        most = max(int(rate.concurrency * share), 1)
        self._handing_over.resize(most)
        burst = rate.burst or max(rate.per_second, 1.0)
        self._bucket = _reshared(self._bucket, rate.per_second * share, burst * share)
        domains = {}
        for each in rate.per_domain:
            name = each.domain.lower()
            bucket = _reshared(self._domains.get(name), each.per_second * share, share)
            if bucket is not None:
                domains[name] = bucket
        self._domains = domains

    @property
    def state(self) -> LaneState:
        """How it stands now."""
        waiting = sum(not turn.done() for turn in self._waiting)
        return LaneState(self.provider.name, self._breaker.closed, self._open, self._busy, waiting)

    @property
    def down(self) -> bool:
        """Whether the provider is left alone."""
        return not self._breaker.closed

    @property
    def trouble(self) -> str:
        """The reason for which it is left alone; empty when it is not."""
        return self._breaker.reason if self.down else ""

    def goes_through(self, transport: object) -> None:
        """Mails are handed over through this from now on. Another one than before (settings or credentials
        were replaced) has not failed yet."""
        if self._through is not None and self._through is not transport:
            self._breaker.renew()
        self._through = transport

    def check(self) -> None:
        """Raises LaneClosed when a mail need not even be made: it could not go."""
        if pause := self._breaker.pause():
            raise self._down(pause)

    @asynccontextmanager
    async def slot(self, address: str) -> AsyncIterator[None]:
        """Hold a place in the lane for a mail to this address, once its turn has come. Raises LaneClosed."""
        self.check()
        probe = self._breaker.begin_probe()
        try:
            await self._turn(self._domains.get(address.rpartition("@")[2].lower()))
            await self._place(probe=probe)
            begun = _now()
            try:
                # Only now: whoever had it already would follow a slow mail at once, with all the others.
                await self._turn(self._bucket)
                yield
            finally:
                self._busy -= 1
                if _now() - begun > MOMENT:
                    # It is slow, or rates hold it: no more are on their way than it takes at a time.
                    self._open = max(min(self._open, self._handing_over.most), self._open // 2)
                self._let_in()
        finally:
            if probe:
                self._breaker.end_probe()

    async def watch(self, handing_over: Awaitable[Outcome]) -> Outcome:
        """Hand over, and learn from what comes of it."""
        through = self._through
        async with self._handing_over:
            watching = self._breaker.watch()
            try:
                outcome = await handing_over
            finally:
                watching.cancel()
        if self._through is not through and troubled(outcome):
            # It says nothing about the way that mails go by now.
            return outcome
        self._breaker.note(outcome)
        self._open = 1 if troubled(outcome) else min(self._open + 1, self._handing_over.most * AHEAD)
        return outcome

    async def _turn(self, bucket: TokenBucket | None) -> None:
        """Wait until a rate allows one more."""
        if bucket is None:
            return
        wait = bucket.wait()
        if wait > LONGEST_WAIT:
            raise _used_up(bucket)
        bucket.take()
        if wait:
            await asyncio.sleep(wait)

    async def _place(self, *, probe: bool) -> None:
        if not probe and not self._breaker.closed:
            raise self._down(self._breaker.pause())
        if self._busy < self._open and not self._waiting:
            self._busy += 1
            return
        if self._bucket is not None and self._bucket.backlog(len(self._waiting)) > LONGEST_WAIT:
            raise _used_up(self._bucket)
        if len(self._waiting) >= MOST_WAITING:
            raise LaneClosed("ProviderBusy", "too many mails wait for the provider", LONGEST_WAIT)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # Let in and cancelled in the same moment: the place is free again.
                self._busy -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting and self._busy < self._open:
            turn = self._waiting.popleft()
            if not turn.done():
                self._busy += 1
                turn.set_result(None)

    def _send_back(self) -> None:
        """The provider is down: who waits in memory waits on disk from now on."""
        waiting, self._waiting = self._waiting, deque()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(self._down(self._breaker.pause()))

    def _down(self, pause: float) -> LaneClosed:
        return LaneClosed("ProviderDown", f"provider {self._breaker.provider} is down", pause)


class Lanes:
    """All lanes of one process, whichever shards it owns."""

    def __init__(self) -> None:
        self._lanes: dict[str, Lane] = {}
        self._share = 1.0

    def share(self, share: float) -> None:
        """Which part of all shards is owned here, from 0 to 1."""
        if not share:
            # Whoever sends nothing finds nothing out: a provider would be down here for ever.
            self._lanes.clear()
            return
        self._share = share
        for lane in self._lanes.values():
            lane.keep_to(lane.provider, share)

    def keep_only(self, providers: Container[str]) -> None:
        """Forget the others; who is on the way there is not held up."""
        self._lanes = {name: lane for name, lane in self._lanes.items() if name in providers}

    def states(self) -> list[LaneState]:
        """How each lane stands."""
        return [lane.state for lane in self._lanes.values()]

    def to(self, provider: ProviderPlan) -> Lane:
        """The lane to a provider as it is declared now."""
        lane = self._lanes.get(provider.name)
        if lane is None or lane.provider.transport != provider.transport:
            # Another server is another provider, whatever it is called.
            lane = self._lanes[provider.name] = Lane(provider, self._share)
        elif lane.provider != provider:
            lane.keep_to(provider, self._share)
        return lane


def _reshared(bucket: TokenBucket | None, per_second: float, burst: float) -> TokenBucket | None:
    if not per_second:
        return None
    if bucket is None:
        return TokenBucket(per_second, burst)
    bucket.reshare(per_second, burst)
    return bucket


def _used_up(bucket: TokenBucket) -> LaneClosed:
    return LaneClosed("RateLimited", "the rate that the provider allows is used up for now", bucket.park())


def _now() -> float:
    return asyncio.get_running_loop().time()
