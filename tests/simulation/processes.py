"""The processes of a world: doors, owners of the one shard, and replicas that share shards by leases.

Each is the shipped machinery on ports of its own. A process can be killed or stopped at any await; what the
world does with it stands in `trouble`.
"""

import asyncio

from tests.simulation import ports
from tests.simulation.loop import PROCESS
from tests.simulation.views import Witness

from emailflow_api.jetstream.topology import PIN_TIMEOUT
from emailflow_runtime.adapters.in_memory.loop_clock import SECOND
from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer
from emailflow_runtime.app.composing import Composer
from emailflow_runtime.app.ingest import LogIngest
from emailflow_runtime.app.lanes import Lanes
from emailflow_runtime.app.shard import Outside, Shard
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.errors import EpochLost

START = 1_772_323_200 * SECOND
"""2026-03-01, when every world begins."""
KEYRING = Keyring({"k1": b"a key that is long enough"})
RENDERER = InProcessRenderer()
"""Templates are compiled once for all worlds."""
END_WITHIN = 5.0
"""Seconds that a process has for its end."""


class Process:
    """What may own shards. `_main` is what it does, `_finish` how it ends when it is asked to."""

    def __init__(self, world, name):
        self.name = name
        self.killed = False
        self.ending = False
        self.shards = {}
        self.feeds = None
        self.catalog = None
        self._gone_at = None
        self._source = self._following = None
        self._world = world
        self._task = None

    def start(self):
        """Begin, as this process."""
        world = self._world
        self._context = world.network.world.copy()
        self._context.run(PROCESS.set, self.name)
        self._task = world.loop.create_task(self._run(), context=self._context)

    async def _run(self):
        try:
            await self._main()
        except EpochLost:
            self._world.network.note("epoch lost")
        except Exception as error:  # noqa: BLE001 - the oracles judge it
            self._failed(error)
        finally:
            self._follow_no_more()

    def _failed(self, error):
        # Whoever looks after processes would start it again, but it should not have ended.
        self._world.network.note("ended", repr(error))
        self._world.failures.append(repr(error))

    def _outside(self, **more):
        world, network = self._world, self._world.network
        self.feeds = world.make.Feeds(world.broker, network)
        catalog = self.catalog = self._follow() if world.features.changes else world.new_catalog()
        if world.features.changes:
            more["telemetry"] = Witness(catalog, world.clock, world.decided)
            more["reports"] = world.make.Reports(world.reports, network)
        return Outside(
            catalog=catalog,
            log=world.make.Log(world.broker, network),
            feeds=self.feeds,
            dead_letters=world.make.Letters(world.broker, network),
            composer=Composer(catalog, RENDERER, KEYRING),
            transports=world.make.Transports(world.office, network),
            consents=world.make.Consents(world.broker, network),
            **more,
        )

    def _follow(self):
        """A catalog of its own that follows PLANS, as a runtime's does."""
        world = self._world
        self._source = world.make.Plans(world.plans, world.network)
        catalog = world.make.Catalog(self._source.first(), world.clock)
        self._following = world.loop.create_task(catalog.follow(self._source), context=self._context)
        return catalog

    def _follow_no_more(self):
        if self._source is not None:
            self._gone_at = self._gone_at or self._world.clock.now()
            self._source.close()
            self._following.cancel()

    @property
    def decided_until(self):
        """From then on it has decided nothing (nanoseconds)."""
        return self._gone_at or self._world.clock.now()

    @property
    def over(self):
        """Whether it will never do anything again."""
        return self.killed or self.ending or self._task.done()

    @property
    def running(self):
        """Whether it takes steps now."""
        return not self.over and self.name not in self._world.loop.stopped

    def kill(self):
        """SIGKILL: no step more. What it has sent is on its way."""
        self.killed = True
        self._gone_at = self._world.clock.now()
        if self._source is not None:
            self._source.close()
        self._stop("killed")

    def stall(self):
        """SIGSTOP: it goes on later, and knows nothing of it."""
        self._stop("stalled")

    def _stop(self, word):
        world = self._world
        world.network.note(word, self.name)
        world.loop.stop_process(self.name)
        world.loop.call_later(PIN_TIMEOUT / SECOND, self._fall_silent, context=world.network.world)

    def _fall_silent(self):
        if self.name in self._world.loop.stopped and self.feeds is not None:
            for feed in self.feeds.made:
                feed.fall_silent()

    async def end(self):
        """SIGTERM: finish what is begun, then go."""
        self._world.network.note("ends", self.name)
        over, self.ending = self.over, True
        if not over and (finish := self._finish()) is not None:
            stopping = self._world.loop.create_task(finish, context=self._context)
            await asyncio.wait((stopping,), timeout=END_WITHIN)
            stopping.cancel()
        self._task.cancel()


class Owner(Process):
    """A process that owns the only shard, or believes so, whatever anybody else does."""

    async def _main(self):
        world = self._world
        self.store = world.new_store(0)
        self.shards[0] = Shard(0, self.store, self._outside())
        world.adversary.narrow(self.shards[0])
        await self.shards[0].run()

    def _finish(self):
        return self.shards[0].stop() if self.shards else None

    @property
    def holds_epoch(self):
        """Whether it is the one that may write."""
        store = getattr(self, "store", None)
        return store is not None and store.epoch == self._world.broker.states[0].epoch


class Replica(Process):
    """A process that shares the shards with others, as leases say."""

    ownership = None

    async def _main(self):
        world = self._world
        lanes = Lanes()
        outside = self._outside(lanes=lanes)
        self.ownership = world.make.Ownership(
            world.make.Leases(world.leases, self.name, world.network),
            shards=len(world.broker.states),
            make=lambda index: self._shard(index, outside),
            share=lanes.share,
            reconnected=world.never,
        )
        await self.ownership.run()

    def _shard(self, index, outside):
        world = self._world
        store = world.new_store(index)
        self.shards[index] = Watched(index, store, outside, self._failed)
        world.adversary.narrow(self.shards[index])
        return self.shards[index]

    def _finish(self):
        return self.ownership.leave(END_WITHIN) if self.ownership is not None else None

    @property
    def owned(self):
        """The shards that it believes to own."""
        return self.ownership.owned if self.ownership is not None else frozenset()


class Watched(Shard):
    """A shard whose failures are told: whoever owns it would only start it again."""

    def __init__(self, index, store, outside, failed):
        super().__init__(index, store, outside)
        self._failed = failed

    async def run(self):
        try:
            await super().run()
        except EpochLost:
            raise
        except Exception as error:
            self._failed(error)
            raise


class Door:
    """A process that takes events."""

    def __init__(self, world, name):
        self.name = name
        context = world.network.world.copy()
        context.run(PROCESS.set, name)
        network, broker = world.network, world.broker
        self.ingest = context.run(
            LogIngest,
            world.new_catalog(),
            ports.Log(broker, network),
            ports.Aliases(broker, network),
            ports.Letters(broker, network),
        )
        self._task = world.loop.create_task(self.ingest.run(), context=context)

    def close(self):
        self._task.cancel()
