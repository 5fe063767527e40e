"""One runtime's worker: waits for changes to settle, then makes the world equal to the resources.

A pass reads everything, decides with `reconcile`, and writes what differs: children, streams and consumers,
PLANS, statuses, in that order, since a plan must never wait for its consumer. A part that fails becomes
the reason in the statuses, and the pass is tried again, later and later.
"""

import asyncio
import logging
from enum import IntEnum

from emailflow_api.plans import Plans
from emailflow_operator.adapters.kubernetes_api import collection
from emailflow_operator.control.children import Children
from emailflow_operator.control.runtime_data import RuntimeData
from emailflow_operator.control.status_writer import StatusWriter
from emailflow_operator.control.world import World
from emailflow_operator.errors import KubernetesUnreachable, NatsUnreachable, OperatorError
from emailflow_operator.reconcile.children.earlier import serving
from emailflow_operator.reconcile.children.manifests import children_of
from emailflow_operator.reconcile.cluster import Name, Object
from emailflow_operator.reconcile.desired import Compiled, plans_in_force
from emailflow_operator.reconcile.scope import RuntimeKey, config_maps_for, sources_for
from emailflow_operator.reconcile.verdicts import Standing, Trouble

MAX_BACKOFF = 30.0
AWAY_BACKOFF = 5.0
"""Seconds at most until who was out of reach is asked again: that costs little, and heals quickly."""

log = logging.getLogger(__name__)


class Need(IntEnum):
    """How much a change asks for."""

    LOOK = 1
    """Statuses: pods, reports or somebody's status have changed."""
    CHANGE = 2
    """Resources have changed: compile again."""
    RESYNC = 3
    """Trust nothing that is remembered."""


class Worker:
    """`mark` it, and `run` does the rest."""

    def __init__(self, key: RuntimeKey, world: World) -> None:
        self.key = key
        self._world = world
        self._need = 0
        self._wake = asyncio.Event()
        self._children = Children(world)
        self._data = RuntimeData(key, world, lambda: self.mark(Need.LOOK))
        self._statuses = StatusWriter(key, world, self._wake_at)
        self._compiled: Compiled | None = None
        self._compiled_at: object = None
        self._config_maps: dict[Name, Object | None] = {}
        self._backoff = 0.0
        self._works = False
        self._alarm: asyncio.TimerHandle | None = None

    def mark(self, need: Need) -> None:
        """Something has changed."""
        self._need = max(self._need, need)
        self._wake.set()

    def clear_away(self) -> None:
        """Delete what is left at the next pass, unless the EmailRuntime is there by then."""
        self._data.clear_away()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing that it could do."""
        busy = self._need or self._backoff or self._works
        return not busy and self._owner is None and not self._statuses.has_objects

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(self._world.options.settle)  # more may come at once
                self._wake.clear()
                need, self._need, self._works = self._need, 0, True
                await self._attempt(need)
                self._works = False
        finally:
            if self._alarm is not None:
                self._alarm.cancel()

    async def _attempt(self, need: int) -> None:
        """One pass; what goes wrong is tried again, not sooner than the backoff says."""
        clock, failed, limit = self._world.monotonic, True, MAX_BACKOFF
        began = clock()
        try:
            trouble = await self._pass(need)
            failed = trouble is not None
            if trouble is not None and trouble.unknown:
                limit = AWAY_BACKOFF
        except OperatorError as error:
            log.warning("%s/%s: %s [%s]", *self.key, error, error.reason)
        except Exception:
            log.exception("%s/%s: the pass failed", *self.key)
        self._world.measures.passed(clock() - began, failed=failed)
        if failed:
            self._backoff = min(max(self._backoff * 2, 0.5), limit)
            self._wake_at(self._backoff, Need(max(need, Need.CHANGE)))
        else:
            self._backoff = 0.0

    def _wake_at(self, seconds: float, need: Need = Need.LOOK) -> None:
        """Mark it after some seconds; the sooner of two alarms counts."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if (
            self._alarm is not None
            and not self._alarm.cancelled()
            and loop.time() < self._alarm.when() <= when
        ):
            if need > Need.LOOK:
                self._need = max(self._need, need)
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = loop.call_at(when, self.mark, need)

    # --- a pass -------------------------------------------------------------------------------------

    @property
    def _owner(self) -> Object | None:
        return self._world.cluster.get("EmailRuntime", *self.key)

    async def _pass(self, need: int) -> Trouble | None:
        if need >= Need.RESYNC:
            self._children.forget()
            self._data.forget()
        owner = self._owner
        compiled = await self._compile(need)
        trouble: Trouble | None = None
        plans: Plans | None = None
        try:
            if owner is not None:
                plans = await self._make_real(owner, compiled)
            else:
                await self._data.runtime_is_gone()
        except OperatorError as error:
            log.warning("%s/%s: %s [%s]", *self.key, error, error.reason)
            unknown = isinstance(error, NatsUnreachable | KubernetesUnreachable)
            trouble = Trouble(error.reason, str(error), unknown=unknown)
            plans = self._data.plans
        standing = Standing(
            compiled=compiled,
            plans=plans,
            reports=self._data.reports,
            providers=self._data.providers,
            deployment=serving(self._world.cluster, *self.key),
            exists=owner is not None,
            trouble=trouble,
            durable=self._data.durable.statement,
            issuer=self._world.issuer,
            storage=self._data.storage,
        )
        await self._statuses.write(standing)
        return trouble

    async def _compile(self, need: int) -> Compiled:
        """What the resources say; compiled again only when any has changed."""
        if self._compiled is None or need >= Need.CHANGE:
            await self._read_config_maps(again=need >= Need.RESYNC)
            sources = sources_for(self._world.cluster, self.key, self._config_maps)
            if self._compiled is None or self._compiled_at != sources.version:
                self._compiled = await self._world.compiler.compile(self.key, sources)
                self._compiled_at = sources.version
        return self._compiled

    async def _make_real(self, owner: Object, compiled: Compiled) -> Plans | None:
        """Children, then the data plane. Both are tried whatever becomes of the other."""
        if compiled.errors(f"EmailRuntime/{self.key[0]}/{self.key[1]}"):
            # What it said before stays in force, and nobody knows what it is to be.
            return plans_in_force(self.key, compiled, self._data.plans, {})
        access = await self._data.access(owner)
        wanted = children_of(
            owner,
            plans_in_force(self.key, compiled, self._data.plans, {}),
            image=self._world.options.image,
            nats_url=access.url,
            issuer=self._world.issuer,
            minted=access.minted,
            tls=access.minted and bool(access.server.authority),
        )
        refused: OperatorError | None = None
        try:
            await self._children.ensure(owner, wanted)
            await self._children.ensure_keyring(owner)
        except OperatorError as error:
            refused = error
        plans = await self._data.make_equal(owner, access, compiled)
        if refused is not None:
            raise refused
        return plans

    async def _read_config_maps(self, *, again: bool) -> None:
        wanted = config_maps_for(self._world.cluster, self.key)
        read: dict[Name, Object | None] = {}
        for name in sorted(wanted):
            if again or self._config_maps.get(name) is None:
                read[name] = await self._world.api.get(f"{collection('v1', 'ConfigMap', name[0])}/{name[1]}")
            else:
                read[name] = self._config_maps[name]
        self._config_maps = read
