"""Statuses of one runtime's objects: written when they differ, counts seldom, an Event when Ready changes."""

import contextlib
import logging
from collections.abc import Callable
from typing import Any

from emailflow_operator.adapters.together import together
from emailflow_operator.control.world import World, now
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.cluster import Object
from emailflow_operator.reconcile.events import events_for
from emailflow_operator.reconcile.scope import RuntimeKey, at_home
from emailflow_operator.reconcile.statuses import counts_differ, patch_for, status_of
from emailflow_operator.reconcile.verdicts import Standing

TOGETHER = 16
"""Writes under way at once."""

log = logging.getLogger(__name__)


class StatusWriter:
    """`write` makes the statuses of all objects at home equal to a standing."""

    def __init__(self, key: RuntimeKey, world: World, wake_at: Callable[[float], None]) -> None:
        """`wake_at` gets the seconds after which counts that were held back are due."""
        self._key = key
        self._world = world
        self._wake_at = wake_at
        self._counted = float("-inf")

    @property
    def has_objects(self) -> bool:
        """Whether there is any object whose status is written here."""
        return any(True for _ in at_home(self._world.cluster, self._key))

    async def write(self, standing: Standing) -> None:
        """Write what differs. Raises KubernetesRefused, KubernetesUnreachable."""
        time, moment = now(), self._world.monotonic()
        due = moment - self._counted >= self._world.options.counts_every
        held_back = counted = False
        writes: list[tuple[Object, dict[str, Any], dict[str, Any]]] = []
        for value in list(at_home(self._world.cluster, self._key)):
            status = status_of(value, standing, now=time, counts_due=due)
            if not due and value["kind"] == "EmailFlow":
                held_back |= counts_differ(value, status_of(value, standing, now=time, counts_due=True))
            counted |= due and counts_differ(value, status)
            if (patch := patch_for(value, status)) is not None:
                writes.append((value, patch, status))
        await together(lambda each: self._write_one(*each), writes, limit=TOGETHER)
        if counted:
            self._counted = moment
        if held_back:
            self._wake_at(self._counted + self._world.options.counts_every - moment)

    async def _write_one(self, value: Object, patch: dict[str, Any], status: dict[str, Any]) -> None:
        written = await self._world.api.merge_status(value, patch)
        if written is None:
            return  # gone, or another object by now: its own event comes
        self._world.measures.status_writes += 1
        self._world.cluster.put(value["kind"], written)
        for event in events_for(value, status, self._world.options.identity):
            # An Event is only news: a refused one (it may be there already) changes nothing.
            with contextlib.suppress(KubernetesRefused):
                namespace = value["metadata"]["namespace"]
                await self._world.api.create(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events", event)
