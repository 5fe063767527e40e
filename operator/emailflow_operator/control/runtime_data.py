"""The data plane of one runtime as its worker sees it: which NATS, what is in PLANS and REPORTS, and how both
become what they should be.

Consumers are made before the plans that need them, and go before the plans that don't: a crash in between
leaves nothing that nobody knows of.
"""

import base64
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from emailflow_api.conditions import Statement
from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.topology import (
    Config,
    consumer_name,
    flow_consumer,
    streams,
    system_consumers,
)
from emailflow_api.kinds import API_VERSION
from emailflow_api.plans import Plans
from emailflow_api.plans.entries import from_entries, to_entries
from emailflow_api.reports import of_owners, read_provider_reports, read_reports
from emailflow_operator.adapters.data_plane import DataPlane
from emailflow_operator.adapters.kubernetes_api import collection
from emailflow_operator.adapters.nats_connection import Server
from emailflow_operator.control.durable import Durable
from emailflow_operator.control.world import World
from emailflow_operator.errors import (
    KubernetesRefused,
    KubernetesUnreachable,
    NatsNotConfigured,
    SecretForbidden,
    SecretNotFound,
    ShardsDiffer,
)
from emailflow_operator.reconcile.cluster import Object, name_of
from emailflow_operator.reconcile.desired import (
    Compiled,
    ProviderReports,
    Reports,
    needs_time,
    plans_in_force,
)
from emailflow_operator.reconcile.scope import RuntimeKey
from emailflow_operator.reconcile.storage import check_max_payload, storage

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
        """What PLANS says, as last read or written. What was not written to its end counts: runtimes may go
        by any part of it."""
        self.reports: Reports = {}
        self.providers: ProviderReports = {}
        self._names = Names(*key)
        self._key = key
        self._world = world
        self._changed = changed
        self.durable = Durable(world)
        self._data: DataPlane | None = None
        self._server: Server | None = None
        self._owner: Object | None = None
        self._half_written = False
        self._ready_for: tuple[Any, ...] = ()
        self._left_behind = False
        self._former_emptied = False
        self.storage: Statement | None = None
        """What the condition says of the room for streams."""

    def forget(self) -> None:
        """Look at everything again at the next pass."""
        self._ready_for = ()
        self.durable.retry()
        if self._data is not None:
            self._data.forget()

    async def access(self, owner: Object) -> NatsAccess:
        """The NATS that the spec means.

        Raises SecretNotFound, SecretForbidden, NatsNotConfigured, KubernetesRefused.
        """
        nats = (owner.get("spec") or {}).get("nats") or {}
        if not nats.get("url"):
            if not self._world.options.nats_url:
                raise NatsNotConfigured(
                    "spec.nats.url: expected a URL, since no NATS was installed with the operator"
                )
            await self._world.credentials.ensure(owner)
            server = await self._world.accounts.server(self._names)
            return NatsAccess(server.url, server, minted=True)
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
        path = f"{collection('v1', 'Secret', self._key[0])}/{reference['name']}"
        try:
            secret = await self._world.api.get(path)
        except KubernetesRefused as refused:
            if refused.status != 403:
                raise
            raise SecretForbidden(
                f"spec.nats.{member}: the operator has no right to read the Secret {reference['name']}: "
                "name it in the chart's rbac.natsSecretNames, or give the operator a Role for it"
            ) from None
        value = ((secret or {}).get("data") or {}).get(reference["key"])
        if value is None:
            wanted = f"{reference['name']} with the key `{reference['key']}`"
            raise SecretNotFound(f"spec.nats.{member}: there is no Secret {wanted}")
        return base64.b64decode(value).decode(errors="replace")

    async def make_equal(self, owner: Object, access: NatsAccess, compiled: Compiled) -> Plans | None:
        """Streams, consumers and PLANS as the resources say; gives the plans in force.

        Raises NatsUnreachable, JetStreamRefused, NotDurable, ShardsDiffer, MaxPayloadTooSmall, and what
        Accounts and Moving raise.
        """
        self._owner, self._left_behind = owner, False
        whose = await self._streams_owner(owner, access)
        if access.minted:
            await self._ensure_account(owner, whose)
        data = await self._opened(access)
        check_max_payload(data.connection.max_payload, compiled.plans.runtime)
        await self.durable.ask(data.connection, minted=access.minted)
        await self._ensure_streams(data, compiled, whose, owner, minted=access.minted)
        self.storage = storage(await data.usage()) if access.minted else None
        await self._read_reports(data)
        plans = await self._in_force(data, compiled)
        if plans is not None and (plans != self.plans or self._half_written):
            await self._write(data, plans)
        return plans

    async def _in_force(self, data: DataPlane, compiled: Compiled) -> Plans | None:
        """The plans without what has drained, by the word of those who own the shards now: what goes is gone
        for good. They are asked for only when something would go."""
        at = await data.now() if needs_time(compiled, self.plans) else 0
        all_of_them = plans_in_force(self._key, compiled, self.plans, {}, at)
        if plans_in_force(self._key, compiled, self.plans, self.reports, at) == all_of_them:
            return all_of_them
        spoken = of_owners(self.reports, await data.owners(compiled.plans.runtime.shards))
        return plans_in_force(self._key, compiled, self.plans, spoken, at)

    async def _ensure_account(self, owner: Object, whose: StreamOwner) -> None:
        """The runtime's account, and in it what it had in the one account of earlier versions."""
        replicas = _replicas(owner)
        await self._world.moving.move(whose, replicas=replicas)
        await self._world.accounts.set_account(whose, replicas=replicas)
        if not self._former_emptied:
            await self._world.credentials.empty_former(owner)
            self._former_emptied = True

    async def _opened(self, access: NatsAccess) -> DataPlane:
        connection = await self._world.servers.connection(access.server)
        if self._data is None or self._data.connection is not connection:
            self._data = DataPlane(connection, self._names)
            self._ready_for = ()
            self.plans = None
            self.durable.doubt()
            connection.when_changed(self._connection_changed)
            # Credentials that were replaced are used no more.
            before, self._server = self._server, access.server
            if before not in {None, access.server}:
                await self._world.servers.release(before)
        return self._data

    def _connection_changed(self) -> None:
        self.forget()
        self.durable.doubt()
        self._changed()

    async def _streams_owner(self, owner: Object, access: NatsAccess) -> StreamOwner:
        policy = (owner.get("spec") or {}).get("deletionPolicy") or "Retain"
        installation = await self._world.accounts.installation() if access.minted else ""
        return StreamOwner(*self._key, policy, installation)

    async def _ensure_streams(
        self, data: DataPlane, compiled: Compiled, whose: StreamOwner, owner: Object, *, minted: bool
    ) -> None:
        runtime, replicas = compiled.plans.runtime, _replicas(owner)
        if self._ready_for == (runtime, replicas, whose):
            await data.check()
            return
        self.plans = from_entries(await data.read_plans())
        if self.plans is not None and (there := self.plans.runtime.shards) != runtime.shards:
            raise ShardsDiffer(
                f"spec.shards is {runtime.shards}, but the runtime's streams are of {there} shards"
            )
        bound = self._world.options.events_bytes
        if minted:
            # The log may take half of the runtime's share: the rest is for the people inside.
            bound = min(bound, await self._world.accounts.share() // 2)
        await data.ensure_streams(streams(runtime, replicas=replicas, events_bytes=bound, owner=whose))
        for stream, config in system_consumers(self._names, runtime.shards):
            await data.ensure_consumers(stream, [config])
        if self.plans is not None:
            await data.ensure_consumers(self._names.events, self._consumers(self.plans))
        await data.reports.listen(self._changed)
        self._ready_for = (runtime, replicas, whose)

    async def _read_reports(self, data: DataPlane) -> None:
        if await data.reports.refresh() or not self.reports:
            self.reports = read_reports(data.reports.entries)
            self.providers = read_provider_reports(data.reports.entries)

    async def _write(self, data: DataPlane, plans: Plans) -> None:
        await data.ensure_consumers(self._names.events, self._consumers(plans))
        if self.plans is not None:
            gone = [flow for name, flow in self.plans.flows.items() if name not in plans.flows]
            names = [consumer_name(flow.id, shard) for flow in gone for shard in range(plans.runtime.shards)]
            await data.remove_consumers(self._names.events, names)
            for flow in gone:
                log.info("%s/%s: the flow %s has drained", *self._key, flow.id)
        self.plans, self._half_written = plans, True
        await data.write_plans(to_entries(plans))
        self._half_written = False

    def _consumers(self, plans: Plans) -> Iterable[Config]:
        for flow in plans.flows.values():
            revisions = (flow.revision, *flow.earlier)
            programs = [plans.programs[each] for each in revisions if each in plans.programs]
            for shard in range(plans.runtime.shards):
                yield flow_consumer(self._names, shard, flow, programs)

    # --- a runtime that is gone -----------------------------------------------------------------------

    def clear_away(self) -> None:
        """Take note that a runtime with `deletionPolicy: Delete` left streams while nobody looked."""
        self._left_behind = True

    async def runtime_is_gone(self) -> None:
        """The EmailRuntime is not there (any more): its streams stay, or go if it said so.

        Raises NatsUnreachable, JetStreamRefused, AccountRefused, KubernetesRefused, KubernetesUnreachable;
        then again.
        """
        wanted = ((self._owner or {}).get("spec") or {}).get("deletionPolicy") == "Delete"
        if self._left_behind or (wanted and self._data is not None):
            await self._make_sure_it_is_gone()
            await self._delete_streams()
            log.info("%s/%s: its streams are deleted", *self._key)
        if self._server is not None:
            await self._world.servers.release(self._server)
        # Only now: what NATS did not do is tried again.
        self._owner, self._data, self._server, self.plans, self.reports = None, None, None, None, {}
        self.providers = {}
        self._ready_for, self._left_behind, self.storage = (), False, None

    async def _delete_streams(self) -> None:
        """In the installation's NATS the accounts go, too."""
        accounts = self._world.accounts
        minted = self._left_behind or not ((self._owner or {}).get("spec") or {}).get("nats", {}).get("url")
        if not minted:
            if self._data is not None and self.plans is not None:
                await self._data.delete_streams(each["name"] for each in streams(self.plans.runtime))
            return
        await self._world.moving.discard(self._names)
        if not await accounts.is_open(self._names):
            return
        self._server = await accounts.server(self._names)
        connection = await self._world.servers.connection(self._server)
        found = [each["name"] for each in await connection.streams()]
        await DataPlane(connection, self._names).delete_streams(found)
        await accounts.delete_account(self._names)

    async def _make_sure_it_is_gone(self) -> None:
        """Ask the API server itself: where there is no definition, the picture shows no objects either."""
        there = await self._world.api.list(
            collection(API_VERSION, "EmailRuntime", self._key[0]), names_only=True
        )
        if self._key in map(name_of, there):
            raise KubernetesUnreachable("the EmailRuntime is there: the watch is behind")


def _replicas(owner: Object) -> int:
    """Copies of each stream."""
    return ((owner.get("spec") or {}).get("nats") or {}).get("replicas") or 1
