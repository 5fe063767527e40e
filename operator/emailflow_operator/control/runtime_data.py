"""The data plane of one runtime as its worker sees it: which NATS, what is in PLANS and REPORTS, and how both
become what they should be.

Consumers are made before the plans that need them, and go before the plans that don't: a crash in between
leaves nothing that nobody knows of.
"""

import base64
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.topology import (
    Config,
    consumer_name,
    flow_consumer,
    streams,
    system_consumers,
)
from emailflow_api.plans import Plans
from emailflow_api.plans.entries import from_entries, to_entries
from emailflow_api.reports import read_reports
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.kubernetes_api import collection
from emailflow_operator.adapters.nats_connection import Server
from emailflow_operator.control.world import World
from emailflow_operator.errors import NatsNotConfigured, SecretNotFound, ShardsDiffer
from emailflow_operator.reconcile.cluster import Object
from emailflow_operator.reconcile.desired import Compiled, Reports, plans_in_force
from emailflow_operator.reconcile.scope import RuntimeKey

log = logging.getLogger(__name__)


class NatsAccess(NamedTuple):
    """Which NATS a runtime uses, and how the operator gets in. `minted`: the operator made the users."""

    url: str
    server: Server
    minted: bool


class RuntimeData:
    """One runtime's. `changed` is called when REPORTS or the connection changes."""

    def __init__(self, key: RuntimeKey, world: World, changed: Callable[[], None]) -> None:
        self.plans: Plans | None = None
        """What PLANS says, as last read or written."""
        self.reports: Reports = {}
        self._names = Names(*key)
        self._key = key
        self._world = world
        self._changed = changed
        self._data: DataPlane | None = None
        self._owner: Object | None = None
        self._ready_for: tuple[Any, ...] = ()

    def forget(self) -> None:
        """Look at everything again at the next pass."""
        self._ready_for = ()
        if self._data is not None:
            self._data.forget()

    async def access(self, owner: Object) -> NatsAccess:
        """The NATS that the spec means. Raises SecretNotFound, NatsNotConfigured, KubernetesRefused."""
        nats = (owner.get("spec") or {}).get("nats") or {}
        if not nats.get("url"):
            if not self._world.options.nats_url:
                raise NatsNotConfigured(
                    "spec.nats.url: expected a URL, since no NATS was installed with the operator"
                )
            url, accounts = self._world.options.nats_url, self._world.accounts
            await accounts.ensure_users(owner)
            return NatsAccess(url, await accounts.operator_server(url, owner), minted=True)
        server = Server(
            nats["url"],
            await self._secret(nats, "credentialsSecretRef"),
            await self._secret(nats, "caSecretRef"),
            self._names.inbox(Role.OPERATOR),
        )
        return NatsAccess(server.url, server, minted=False)

    async def _secret(self, nats: dict[str, Any], member: str) -> str:
        """The value that a reference means; it goes nowhere but into the connection."""
        reference = nats.get(member)
        if not reference:
            return ""
        secret = await self._world.api.get(f"{collection('v1', 'Secret', self._key[0])}/{reference['name']}")
        value = ((secret or {}).get("data") or {}).get(reference["key"])
        if value is None:
            wanted = f"{reference['name']} with the key `{reference['key']}`"
            raise SecretNotFound(f"spec.nats.{member}: there is no Secret {wanted}")
        return base64.b64decode(value).decode(errors="replace")

    async def make_equal(self, owner: Object, access: NatsAccess, compiled: Compiled) -> Plans | None:
        """Streams, consumers and PLANS as the resources say; gives the plans in force.

        Raises NatsUnreachable, JetStreamRefused, ShardsDiffer.
        """
        self._owner = owner
        data = await self._opened(access)
        await self._ensure_streams(data, owner, compiled)
        await self._read_reports(data)
        plans = plans_in_force(self._key, compiled, self.plans, self.reports)
        if plans is not None and plans != self.plans:
            await self._write(data, plans)
        return plans

    async def _opened(self, access: NatsAccess) -> DataPlane:
        connection = await self._world.servers.connection(access.server)
        if self._data is None or self._data.connection is not connection:
            self._data = DataPlane(connection, self._names)
            self._ready_for = ()
            self.plans = None
            connection.when_changed(self._connection_changed)
        return self._data

    def _connection_changed(self) -> None:
        self.forget()
        self._changed()

    async def _ensure_streams(self, data: DataPlane, owner: Object, compiled: Compiled) -> None:
        runtime = compiled.plans.runtime
        replicas = ((owner.get("spec") or {}).get("nats") or {}).get("replicas") or 1
        if self._ready_for == (runtime, replicas):
            await data.check()
            return
        self.plans = from_entries(await data.read_plans())
        if self.plans is not None and (there := self.plans.runtime.shards) != runtime.shards:
            raise ShardsDiffer(
                f"spec.shards is {runtime.shards}, but the runtime's streams are of {there} shards"
            )
        await data.ensure_streams(
            streams(runtime, replicas=replicas, events_bytes=self._world.options.events_bytes)
        )
        for stream, config in system_consumers(self._names, runtime.shards):
            await data.ensure_consumers(stream, [config])
        if self.plans is not None:
            await data.ensure_consumers(self._names.events, self._consumers(self.plans))
        await data.reports.listen(self._changed)
        self._ready_for = (runtime, replicas)

    async def _read_reports(self, data: DataPlane) -> None:
        if await data.reports.refresh() or not self.reports:
            self.reports = read_reports(data.reports.entries)

    async def _write(self, data: DataPlane, plans: Plans) -> None:
        await data.ensure_consumers(self._names.events, self._consumers(plans))
        if self.plans is not None:
            gone = [flow for name, flow in self.plans.flows.items() if name not in plans.flows]
            names = [consumer_name(flow.id, shard) for flow in gone for shard in range(plans.runtime.shards)]
            await data.remove_consumers(self._names.events, names)
            for flow in gone:
                log.info("%s/%s: the flow %s has drained", *self._key, flow.id)
        await data.write_plans(to_entries(plans))
        self.plans = plans

    def _consumers(self, plans: Plans) -> Iterable[Config]:
        for flow in plans.flows.values():
            revisions = (flow.revision, *flow.earlier)
            programs = [plans.programs[each] for each in revisions if each in plans.programs]
            for shard in range(plans.runtime.shards):
                yield flow_consumer(self._names, shard, flow, programs)

    async def runtime_is_gone(self) -> None:
        """The EmailRuntime is not there (any more): its streams stay, or go if it said so."""
        owner = self._owner
        if owner is None:
            return
        if (
            (owner.get("spec") or {}).get("deletionPolicy") == "Delete"
            and self._data is not None
            and self.plans
        ):
            names = [each["name"] for each in streams(self.plans.runtime)]
            await self._data.delete_streams(names)
            log.info("%s/%s: its streams are deleted", *self._key)
        # Only now: what NATS did not do is tried again.
        self._owner, self._data, self.plans, self.reports, self._ready_for = None, None, None, {}, ()
