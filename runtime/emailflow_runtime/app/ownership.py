"""Which shards this replica owns: it takes leases, runs what it holds, renews, and hands over.

A lease says who may try, the epoch who may write (ADR 0001, 0011). So nothing here has to be right for a
mail to be sent once; it has to be quick, and to let no shard lie idle.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from emailflow_runtime.core.assignment import assign
from emailflow_runtime.errors import EmailFlowError, EpochLost

LEASE_TTL = 6
"""Seconds that a lease outlives its last renewal. A feed's pulls must have expired by then: see `feed`."""
RENEW_EVERY = 2.0
LOOK_EVERY = 1.0
"""Seconds between looks at the leases; a release is seen at once."""
PATIENCE = 3.0
"""Seconds after a reconnect, or a failed look, in which nothing is taken: leases live in nats-server's
memory, and who held them comes first."""
RESTART_AFTER = 1.0
"""Seconds before a shard that failed is started again."""
UNREADY_AFTER = 60.0
"""Seconds after which a shard that is leased and does not run makes its replica unready."""
STEADY_AFTER = 10.0
"""Seconds that a shard has to run before it counts as one that runs."""
STUCK_AFTER = 120.0
"""Seconds after which a commit counts as one that never ends."""
RELEASE_WITHIN = 0.5
"""Seconds kept of a shutdown for giving leases back."""
HAND_OVER_WITHIN = 40.0
"""Seconds that mails at a provider may take when nobody has to hurry: longer than any hand-over lasts, since
one that is cut off ends as unknown."""

log = logging.getLogger(__name__)


class Lease(NamedTuple):
    """Who holds a shard (empty: it was given back), and the revision that a change has to name."""

    holder: str
    revision: int


class View(NamedTuple):
    """The replicas that say that they are there, and the leases by shard; expired ones are left out."""

    members: frozenset[str]
    leases: Mapping[int, Lease]


class Leases(Protocol):
    """LEASES. Each method raises Unavailable while it is away."""

    replica: str
    """The name of this replica in it."""
    changed: asyncio.Event
    """Set when somebody takes, releases, comes or goes; whoever has looked clears it."""

    async def listen(self) -> None:
        """From here on `changed` is set."""

    async def read(self) -> View:
        """As it is now."""

    async def announce(self) -> None:
        """Say that this replica is there, for LEASE_TTL seconds."""

    async def withdraw(self) -> None:
        """Say that it is gone."""

    async def take(self, shard: int, revision: int) -> int | None:
        """Take or renew for LEASE_TTL seconds, if the lease's revision is still this one (0: there is
        none); the new revision, None when somebody else was faster."""

    async def release(self, shard: int, revision: int) -> None:
        """Give it back, unless it is somebody else's by now."""


class Owned(Protocol):
    """A shard while it is owned."""

    ready: asyncio.Event

    @property
    def committing_for(self) -> float:
        """Seconds since the commit under way began; 0: none is."""

    async def run(self) -> None:
        """Until cancelled. Raises EpochLost."""

    async def stop(self) -> None:
        """Finish what has been begun, begin nothing."""


class _Holding:
    """A shard that this replica runs."""

    def __init__(self, revision: int, renewed: float) -> None:
        self.revision = revision
        self.renewed = renewed
        self.shard: Owned | None = None
        self.task: asyncio.Task[None] | None = None
        self.leaving = False
        self.unready_since: float | None = renewed
        """Since when it has not run, but for moments; None: it runs."""

    @property
    def ready(self) -> bool:
        return self.shard is not None and self.shard.ready.is_set()


class Ownership:
    """One for each replica. `make` makes a shard with nothing in memory; `share` hears which part of all
    shards is owned here, from 0 to 1, whenever that changes."""

    def __init__(
        self,
        leases: Leases,
        shards: int,
        make: Callable[[int], Owned],
        share: Callable[[float], None],
        reconnected: Callable[[], Awaitable[None]],
    ) -> None:
        """`reconnected` returns after the next reconnect to NATS."""
        self.settled = asyncio.Event()
        """Set once this replica has what it should have, decides on it, and stays set."""
        self._leases = leases
        self._shards = shards
        self._make = make
        self._share = share
        self._reconnected = reconnected
        self._holdings: dict[int, _Holding] = {}
        self._group = asyncio.TaskGroup()
        self._announced = self._patient_until = float("-inf")
        self._gone = False

    @property
    def owned(self) -> frozenset[int]:
        """The shards that are decided on here."""
        return frozenset(index for index, holding in self._holdings.items() if holding.ready)

    @property
    def committing(self) -> dict[int, float]:
        """By shard that is leased to this replica: seconds since the commit under way began, 0: none is."""
        return {
            index: holding.shard.committing_for if holding.shard is not None else 0.0
            for index, holding in self._holdings.items()
        }

    @property
    def unready(self) -> list[int]:
        """The shards that are leased to this replica and have not been decided on for UNREADY_AFTER."""
        now = _now()
        return sorted(
            index
            for index, holding in self._holdings.items()
            if holding.unready_since is not None and now - holding.unready_since >= UNREADY_AFTER
        )

    @property
    def stuck(self) -> list[int]:
        """The shards with a commit that does not end, although NATS takes what else this replica writes."""
        now = _now()
        return sorted(
            index
            for index, seconds in self.committing.items()
            if seconds >= STUCK_AFTER and now - self._holdings[index].renewed < LEASE_TTL
        )

    async def run(self) -> None:
        """Own what there is to own, until cancelled."""
        async with self._group:
            await self._leases.listen()
            self._group.create_task(self._wait_after_reconnects())
            while True:
                try:
                    await self._look()
                except EmailFlowError as away:
                    # Whoever owns a shard keeps it: nobody else can take what can't be read.
                    log.info("leases can't be read: %s", away)
                    self._patient_until = _now() + PATIENCE
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._leases.changed.wait()

    async def leave(self, within: float) -> None:
        """Hand every shard over and take none any more, in at most `within` seconds."""
        self._gone = True
        finish = max(within - RELEASE_WITHIN, 0)
        await asyncio.gather(*(self._hand_over(index, finish) for index in list(self._holdings)))
        with contextlib.suppress(EmailFlowError, TimeoutError):
            async with asyncio.timeout(RELEASE_WITHIN):
                await self._leases.withdraw()

    async def _wait_after_reconnects(self) -> None:
        while True:
            await self._reconnected()
            self._patient_until = _now() + PATIENCE

    # --- looking ------------------------------------------------------------------------------------

    async def _look(self) -> None:
        self._leases.changed.clear()
        if self._gone:
            return
        view = await self._leases.read()
        if _now() - self._announced >= RENEW_EVERY:
            started = _now()
            await self._leases.announce()
            self._announced = started
        for index in list(self._holdings):
            await self._keep(index, view.leases.get(index, Lease("", 0)))
        await self._balance(view)

    async def _keep(self, index: int, lease: Lease) -> None:
        """Renew the lease of a shard that runs here, or end the shard when the lease is somebody else's."""
        holding = self._holdings.get(index)
        if holding is None:
            return
        if 0 < lease.revision < holding.revision and _now() - holding.renewed < LEASE_TTL:
            # A view from before: a replica of the bucket may lag. Not after the lease has run out, since a
            # bucket that was made again begins its revisions anew.
            return
        if lease.holder not in {"", self._leases.replica}:
            log.warning("the lease of shard %d is somebody else's", index)
            await self._end(index)
        elif not lease.holder or _now() - holding.renewed >= RENEW_EVERY:
            started = _now()
            revision = await self._leases.take(index, lease.revision)
            if revision is not None:
                holding.revision, holding.renewed = revision, started

    async def _balance(self, view: View) -> None:
        """Take what this replica should have and nobody holds; hand over what another should have."""
        here = self._leases.replica
        held = {index: lease.holder for index, lease in view.leases.items()}
        held.update(dict.fromkeys(self._holdings, here))
        wanted = assign(self._shards, view.members | {here}, held)
        for index, member in wanted.items():
            holding = self._holdings.get(index)
            if member == here and holding is None:
                await self._take(index, view.leases.get(index))
            elif member != here and holding is not None and not holding.leaving:
                log.info("handing shard %d over", index)
                holding.leaving = True
                self._group.create_task(self._hand_over(index, HAND_OVER_WITHIN))
        mine = [index for index, member in wanted.items() if member == here]
        if all(index in self.owned for index in mine):
            self.settled.set()

    async def _take(self, index: int, lease: Lease | None) -> None:
        """Take the lease if it is free, and run the shard."""
        free = lease is None or lease.holder in {"", self._leases.replica}
        if not free or (lease is None and _now() < self._patient_until) or self._gone:
            return
        started = _now()
        revision = await self._leases.take(index, lease.revision if lease else 0)
        if revision is None or self._gone:
            return
        holding = self._holdings[index] = _Holding(revision, started)
        log.info("owning shard %d", index)
        self._note_share()
        holding.task = self._group.create_task(self._serve(index, holding))

    def _note_share(self) -> None:
        self._share(len(self._holdings) / self._shards)

    # --- owning -------------------------------------------------------------------------------------

    async def _serve(self, index: int, holding: _Holding) -> None:
        """Run a shard until it is handed over or lost. Each start is with an empty memory."""
        while True:
            holding.shard = self._make(index)
            settle = asyncio.create_task(self._note_ready(holding, holding.shard))
            try:
                await holding.shard.run()
            except EpochLost as lost:
                # Only this shard's memory is wrong. Whoever holds the lease goes on with it.
                log.warning("shard %d is lost: %s", index, lost)
                if self._holdings.pop(index, None) is not None:
                    self._note_share()
                self._leases.changed.set()
                return
            except EmailFlowError as error:
                log.warning("shard %d stopped: %s", index, error)
            except Exception:
                log.exception("shard %d failed", index)
            finally:
                settle.cancel()
                if holding.unready_since is None:
                    holding.unready_since = _now()
            await asyncio.sleep(RESTART_AFTER)

    async def _note_ready(self, holding: _Holding, shard: Owned) -> None:
        await shard.ready.wait()
        self._leases.changed.set()
        # One that fails right after each start does not run.
        await asyncio.sleep(STEADY_AFTER)
        holding.unready_since = None

    async def _hand_over(self, index: int, within: float) -> None:
        """Let a shard finish what it has begun, end it, and tell the next owner."""
        holding = self._holdings.get(index)
        if holding is None:
            return
        holding.leaving = True
        if holding.ready and holding.shard is not None:
            try:
                async with asyncio.timeout(within):
                    await holding.shard.stop()
            except TimeoutError:
                log.info("shard %d is handed over with hand-overs of mails under way", index)
        await self._end(index)
        with contextlib.suppress(EmailFlowError, TimeoutError):
            async with asyncio.timeout(RELEASE_WITHIN):
                await self._leases.release(index, holding.revision)

    async def _end(self, index: int) -> None:
        """End a shard at once."""
        holding = self._holdings.get(index)
        if holding is None or holding.task is None:
            return
        holding.task.cancel()
        await asyncio.wait([holding.task])
        if self._holdings.pop(index, None) is not None:
            self._note_share()


def _now() -> float:
    return asyncio.get_running_loop().time()
