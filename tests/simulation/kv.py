"""PLANS and REPORTS in a world: buckets, and what a process has of them over the network.

Whoever watches a bucket is told of what was put a little later, each after a time of its own; sometimes it
hears nothing for up to a minute, and then all at once.
"""

import asyncio

from tests.simulation.network import TIMEOUT

from emailflow_api.plans.entries import from_entries
from emailflow_api.reports import encode, key, read_reports
from emailflow_runtime.errors import Unavailable

SETTLE = 0.05
"""Seconds in which changes that come together make one snapshot (`plan_bucket.SETTLE`)."""
STALE_FOR = 60.0


class Bucket:
    """A KV bucket: the last value of each key. `hearers` are called at every change."""

    def __init__(self):
        self.hearers = []
        self.last = 0
        self._said = {}

    def put(self, name, value):
        """Say it; None: the key is deleted."""
        self.last += 1
        self._said.pop(name, None)
        self._said[name] = (self.last, value)
        for hear in self.hearers:
            hear()

    @property
    def values(self):
        """What it says now."""
        return {name: value for name, (_, value) in self._said.items() if value is not None}

    def revision(self, name):
        """The sequence of what was said last of a key, also that it is deleted; 0: nothing."""
        return self._said.get(name, (0, None))[0]

    def revisions(self, prefix):
        """The same for all keys that begin so."""
        return {name: at for name, (at, _) in self._said.items() if name.startswith(prefix)}

    def since(self, sequence):
        """What has been said from this sequence on, in order, the deleted ones among it."""
        return [(name, value, number) for name, (number, value) in self._said.items() if number >= sequence]


class Plans:
    """The port PlanSource."""

    def __init__(self, bucket, network):
        self._bucket = bucket
        self._network = network
        self._decoded = {}
        self._seen = self._given = 0
        self._plans = None
        self._due = None
        self._woken = asyncio.Event()
        bucket.hearers.append(self._hear)

    def first(self):
        """What the bucket says now, as a process reads it before it begins."""
        self._read()
        self._given = self._seen
        return self._plans

    def _read(self):
        if self._seen != self._bucket.last:
            self._seen, self._plans = self._bucket.last, from_entries(self._bucket.values, self._decoded)

    async def snapshots(self):
        while True:
            if self._given != self._bucket.last:
                await self._network.insist("plans", self._read)
                if self._given != self._seen and self._plans is not None:
                    self._given = self._seen
                    yield self._plans
            await self._woken.wait()
            self._woken.clear()

    def close(self):
        """Hear nothing more."""
        if self._hear in self._bucket.hearers:
            self._bucket.hearers.remove(self._hear)

    def _hear(self):
        if self._due is None:
            stale = self._network.random.uniform(0, STALE_FOR) if self._network.chance(0.03) else 0.0
            delay = SETTLE + self._network.lag() + stale
            self._due = self._network.loop.call_later(delay, self._wake, context=self._network.world)

    def _wake(self):
        self._due = None
        self._woken.set()


class Reports:
    """The port Reports. Nobody counts while the clock of leases stands still."""

    def __init__(self, bucket, network):
        self._bucket = bucket
        self._network = network
        self._revisions = {}

    async def read(self, shard):
        def effect():
            own = key(shard, "")
            self._revisions = {name: at for name, at in self._revisions.items() if not name.startswith(own)}
            self._revisions.update(self._bucket.revisions(own))
            return read_reports(self._bucket.values)

        found = await self._network.call("reports", effect)
        return {flow: shards[shard] for flow, shards in found.items() if shard in shards}

    async def write(self, shard, reports):
        before = dict(self._revisions)

        def effect():
            names = [key(shard, flow) for flow in reports]
            if any(self.collides(name, before.get(name, 0)) for name in names):
                raise Unavailable("somebody else has written meanwhile")
            for flow, report in sorted(reports.items()):
                self._network.note("report", shard, flow, report and (report.plan, report.journeys))
                self._bucket.put(key(shard, flow), encode(report) if report is not None else None)
            return {name: self._bucket.revision(name) for name in names}

        if self._network.chance(0.02):
            self._network.arrive_late("report", effect)
            await asyncio.sleep(TIMEOUT)
            raise Unavailable("no answer to a report")
        self._revisions.update(await self._network.call("report", effect))

    def collides(self, name, revision):
        """Whether something else stands there than what was read or written last."""
        return self._bucket.revision(name) != revision

    async def pending(self, shard):
        await self._network.lease_clock.awake.wait()
        return await self._network.call("pending", dict)
