"""A runtime: catalog, ingest and the shards it owns over one connection. What a pod runs, and `emailflow
dev` too.
"""

import asyncio
import secrets

import msgspec

from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import Plans
from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
from emailflow_runtime.adapters.jetstream.connection import Connection
from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.feed import JetStreamFeeds
from emailflow_runtime.adapters.jetstream.history import EventHistory
from emailflow_runtime.adapters.jetstream.inbound import InboundStream
from emailflow_runtime.adapters.jetstream.janitor import JetStreamLogKeeping
from emailflow_runtime.adapters.jetstream.lease_bucket import LeaseBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.report_bucket import ReportBucket
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.adapters.metrics import Declared
from emailflow_runtime.adapters.nats_door import NatsDoor
from emailflow_runtime.adapters.render_worker.pool import RenderPool
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Composer
from emailflow_runtime.app.ingest import LogIngest
from emailflow_runtime.app.janitor import Janitor
from emailflow_runtime.app.lanes import Lanes
from emailflow_runtime.app.mail_links import MailLinks
from emailflow_runtime.app.ownership import Ownership
from emailflow_runtime.app.provider_watch import ProviderWatch
from emailflow_runtime.app.shard import Outside, Shard
from emailflow_runtime.app.stores import Consents
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.wiring.observability import Observability
from emailflow_runtime.wiring.ways_out import Secrets, WaysOut


class Surroundings(msgspec.Struct, frozen=True):
    """What differs between a pod and a laptop."""

    secrets: Secrets
    keyring: Keyring
    consents: Consents
    catcher_port: int = 0
    replica: str = ""
    """Names this process among the replicas, and no other, ever; empty: a random name."""


class Runtime:
    """`run` it; `stop` lets it finish what it has begun."""

    def __init__(self, connection: Connection, plans: Plans, surroundings: Surroundings) -> None:
        self._names = names = Names(plans.runtime.namespace, plans.runtime.name)
        self.watched = watched = Observability(connection, names)
        log = watched.log(JetStreamEventLog(connection, names))
        dead_letters = watched.dead_letters(DeadLetterStream(connection, names))
        aliases = AliasBucket(connection, names.bucket("ALIASES"))
        self.catalog = Catalog(plans)
        self._storing = LogIngest(self.catalog, log, aliases, dead_letters)
        self.ingest = watched.ingest(self._storing)
        self._nats_door = NatsDoor(
            InboundStream(connection, names),
            watched.ingest(self._storing, refusals=False),
            max_bytes=lambda: self.catalog.plans.runtime.max_body_bytes,
            refused=watched.refused,
        )
        self.links = MailLinks(surroundings.keyring, self.catalog, log, SystemClock())
        self._plans = PlanBucket(connection, names.bucket("PLANS"))
        self._connection = connection
        self._renderer = RenderPool()
        self._ways_out = WaysOut(surroundings.secrets, surroundings.catcher_port)
        self._lanes = lanes = Lanes()
        watched.metrics.lanes = lanes.states
        watched.metrics.declared = lambda: Declared(self.catalog.flows(), self.catalog.plans.providers)
        lost: dict[str, int] = {}
        reports = ReportBucket(connection, names)
        self._outside = Outside(
            catalog=self.catalog,
            log=log,
            feeds=JetStreamFeeds(connection, names, watched.dead_letter),
            dead_letters=dead_letters,
            composer=Composer(self.catalog, watched.renderer(self._renderer), surroundings.keyring),
            transports=self._ways_out,
            lanes=lanes,
            consents=surroundings.consents,
            history=EventHistory(connection, names),
            telemetry=watched.telemetry,
            reports=reports,
            lost=lost,
        )
        self._ownership = Ownership(
            LeaseBucket(connection, plans.runtime, surroundings.replica or secrets.token_hex(8)),
            shards=plans.runtime.shards,
            make=self._shard,
            share=lanes.share,
            reconnected=connection.reconnected,
        )

        watched.metrics.committing = lambda: self._ownership.committing
        self._provider_watch = ProviderWatch(
            self.catalog, self._ways_out, lanes, reports, in_charge=lambda: 0 in self.owned
        )
        self.janitor = Janitor(
            JetStreamLogKeeping(connection, names),
            self.catalog,
            SystemClock(),
            in_charge=lambda: 0 in self.owned,
            lost=lost,
            note_loss=watched.metrics.behind_retention,
        )

    def _shard(self, index: int) -> Shard:
        store = JetStreamStateStore(self._connection, self._names, index)
        return Shard(index, self.watched.state(store), self._outside)

    @property
    def waits_for(self) -> str:
        """What keeps it from accepting events, or from deciding on its share of the shards; empty: nothing.

        A shard that is lost later is taken again, and events are accepted meanwhile, for a minute."""
        if not self._connection.connected:
            return "NATS"
        if not self._ownership.settled.is_set():
            return "shards"
        return ", ".join(f"shard {index}" for index in self._ownership.unready)

    @property
    def stuck_in(self) -> str:
        """What does not end here and would in a new process; empty: nothing."""
        return ", ".join(f"a commit of shard {index}" for index in self._ownership.stuck)

    @property
    def owned(self) -> frozenset[int]:
        """The shards that are decided on here, and nowhere else."""
        return self._ownership.owned

    async def until_ready(self) -> None:
        """Return when it decides on its share of the shards: on all of them, if it is the only replica."""
        await self._ownership.settled.wait()

    async def run(self) -> None:
        """Serve until cancelled. A shard that is lost ends by itself; events are accepted all the same."""
        await self._renderer.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.catalog.follow(self._plans))
                group.create_task(self._forget_providers())
                group.create_task(self._storing.run())
                group.create_task(self._nats_door.run())
                group.create_task(self._ownership.run())
                group.create_task(self.janitor.run())
                group.create_task(self._provider_watch.run())
        finally:
            await self._renderer.close()
            await self._ways_out.close()
            await self.watched.close()

    async def _forget_providers(self) -> None:
        """Keep nothing of providers that are not declared any more."""
        while True:
            plans = self.catalog.plans
            self._lanes.keep_only(plans.providers)
            self._ways_out.keep_only(plans.providers)
            await self.catalog.differ_from(plans)

    async def stop(self, within: float) -> None:
        """Hand the shards over: take nothing new, and give what is under way `within` seconds to finish.

        Events are accepted on until `run` is cancelled.
        """
        await asyncio.gather(self._ownership.leave(within), self._nats_door.stop(within))
