"""What lies between a process and everything else: delays, losses, outages, all drawn from the seed.

A call has two ways to go. The effect is the server's: it happens when the request arrives, whatever has
become of the caller by then. Every effect leaves a line in the trace.
"""

import asyncio
import contextvars
import hashlib
import random
from collections import Counter

from tests.simulation.loop import PROCESS

from emailflow_runtime.errors import EpochLost, Unavailable

SECOND = 1_000_000_000
TIMEOUT = 5.0
"""Seconds after which an answer is not awaited any more (`connection.TIMEOUT`)."""


class LeaseClock:
    """The clock of nats-server for leases, which can stand still while nobody looks at them."""

    def __init__(self, loop):
        self.awake = asyncio.Event()
        self.awake.set()
        self._loop = loop
        self._stopped_at = self._lost = 0.0

    def now(self):
        """See Clock."""
        moment = self._loop.time() if self.awake.is_set() else self._stopped_at
        return int((moment - self._lost) * SECOND)

    def stop(self):
        """From here on it stands still."""
        self._stopped_at = self._loop.time()
        self.awake.clear()

    def go_on(self):
        """It goes on from where it stood."""
        self._lost += self._loop.time() - self._stopped_at
        self.awake.set()


class Network:
    """One for a world. `calm` ends all faults; `closed` ends all effects."""

    def __init__(self, loop, seed, *, faults=True):
        self.random = random.Random(f"network {seed}")
        self.calm = not faults
        self.closed = False
        self.trace = []
        self.requested = {}
        """By mail: when it was first on disk that somebody asks for it (nanoseconds since 1970)."""
        self.stored = {}
        """By journey: when it was first on disk (nanoseconds since 1970), and by which process."""
        self.claimants = {}
        """By state and epoch: the store that has claimed it."""
        self.strangers = []
        """Writes that were accepted from somebody else than who had claimed the epoch."""
        self.largest = 0
        """Bytes of the largest message that was sent."""
        self.oversized = []
        """Messages that nats-server would not have taken: their size, and what they are."""
        self.answers = Counter()
        """What nats-server had to bound, how often."""
        self.look = _nothing
        """Called whenever an owner has stored something."""
        self.lease_clock = LeaseClock(loop)
        self.strike = None
        """Called with a process that has just done something, when it is to be struck there."""
        self.hearers = []
        """Who is told when consent is put, by process."""
        self.loop = loop
        self.world = contextvars.copy_context()
        self._back = asyncio.Event()
        self._back.set()

    # --- the trace ----------------------------------------------------------------------------------

    def note(self, *what):
        """A line of the trace."""
        self.trace.append((round(self.loop.time(), 6), PROCESS.get(), *what))

    def trace_hash(self):
        """Equal traces have equal hashes."""
        return hashlib.sha256("\n".join(map(repr, self.trace)).encode()).hexdigest()[:16]

    def take_size(self, size, most, what):
        """A message of this size reaches the server."""
        self.largest = max(self.largest, size)
        if size > most:
            self.oversized.append((size, what))

    # --- weather ------------------------------------------------------------------------------------

    def chance(self, share):
        """Whether a fault that has this share happens now."""
        return not self.calm and self.random.random() < share

    def lag(self):
        """Seconds on the way: mostly a millisecond, sometimes a second."""
        if self.calm:
            return 0.0002
        drawn = self.random.random()
        if drawn < 0.93:
            return 0.0002 + 0.003 * self.random.random()
        return 0.01 + (0.5 if drawn < 0.99 else 4.0) * self.random.random()

    @property
    def away(self):
        """Whether the server takes nothing at all: gone, or its disk is full."""
        return not self._back.is_set()

    def go_away(self):
        """The server takes nothing from here on."""
        self._back.clear()

    def come_back(self):
        """It takes everything again."""
        self._back.set()

    def pass_by(self, share=0.0015):
        """A place where a process may be struck: it has asked for something, or has just got an answer."""
        if self.strike is not None and PROCESS.get() and self.chance(share):
            self.strike(PROCESS.get())

    # --- calls --------------------------------------------------------------------------------------

    async def call(self, name, effect):
        """Request, effect, answer. Raises Unavailable when there is no answer in time; the effect may
        have happened then, or happen yet."""
        answer = self._question()
        if not self.chance(0.01):
            self.loop.call_later(self.lag(), self._arrive, name, effect, answer, context=self.world)
        self.pass_by()
        try:
            async with asyncio.timeout(TIMEOUT):
                result = await answer
        except TimeoutError:
            raise Unavailable(f"no answer to {name}") from None
        self.pass_by()
        return result

    async def insist(self, name, effect):
        """A call that is looked up and repeated until it has been answered, as a commit is. Its effect
        happens once."""
        answer = self._question()
        delay = self.lag() + (TIMEOUT if self.chance(0.01) else 0.0)
        self.loop.call_later(delay, self._arrive_at_last, name, effect, answer, context=self.world)
        self.pass_by()
        result = await answer
        self.pass_by()
        return result

    def arrive_late(self, name, effect):
        """What a paused server holds, and passes on when its sender has long gone on. Nobody hears of it."""
        delay = self.random.choice((TIMEOUT + 1, 20.0, 60.0)) * (1 + self.random.random())
        self.loop.call_later(delay, self._arrive_late, name, effect, context=self.world)

    def _arrive_late(self, name, effect):
        if self.closed or self.away:
            return
        try:
            effect()
        except (EpochLost, Unavailable):
            self.note("came too late", name)

    def _question(self):
        if self.closed:
            # The world has ended, and whoever still asks with it.
            raise asyncio.CancelledError
        return self.loop.create_future()

    def _arrive(self, name, effect, answer):
        """The server does it, or is away and does not."""
        if self.closed or self.away:
            return
        self._answer(effect, answer, lost=self.chance(0.01))

    def _arrive_at_last(self, name, effect, answer):
        if self.closed:
            return
        if self.away:
            self.loop.call_later(0.5, self._arrive_at_last, name, effect, answer)
            return
        self._answer(effect, answer, late=TIMEOUT if self.chance(0.01) else 0.0)

    def _answer(self, effect, answer, *, lost=False, late=0.0):
        try:
            result, settle = effect(), _give
        except Exception as error:  # noqa: BLE001 - it is the answer
            result, settle = error, _raise
        if not lost:
            self.loop.call_later(self.lag() + late, settle, answer, result)


def _nothing():
    pass


def _give(answer, result):
    if not answer.done():
        answer.set_result(result)


def _raise(answer, error):
    if not answer.done():
        answer.set_exception(error)
