"""Lists beside the watches: the first picture of the cluster, and what a watch has missed since.

A watch can be deaf while everything looks alive. So names and resourceVersions are listed now and then;
what differs and has not come by itself is read, and counted: when that goes on, only a restart helps.
"""

import logging
from collections.abc import AsyncIterator

from emailflow_api.kinds import API_VERSION
from emailflow_operator.adapters.kubernetes_api import collection
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import World
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.labels import FIELD_MANAGER, MANAGED_BY
from emailflow_operator.reconcile.cluster import Name, Object, name_of
from emailflow_operator.reconcile.scope import WATCHED

DEAF_AFTER = 3
"""Surveys that find something missed, without one in between that finds all well."""

log = logging.getLogger(__name__)


class Survey:
    """`first` fills the picture, `again` and `catch_up` mend it."""

    def __init__(self, world: World, workers: Workers) -> None:
        self._world = world
        self._workers = workers
        self._doubtful: dict[tuple[str, str, str], str | None] = {}
        """What differed at the last look, and what was known of it then."""
        self._missed_in_a_row = 0
        self.reads_namespaces = True
        """Whether we may: a Role in some namespaces can't let us."""

    @property
    def is_deaf(self) -> bool:
        """Whether the watches keep missing changes."""
        return self._missed_in_a_row >= DEAF_AFTER

    async def first(self) -> None:
        """See everything once. Raises KubernetesRefused, KubernetesUnreachable."""
        for api_version, kind in self._kinds():
            for value in await self._list(api_version, kind, names_only=False):
                self._workers.note(value)

    async def catch_up(self) -> None:
        """Mend whatever differs, at once: before a leader begins, since what the watches have not brought yet
        would look deleted, or in force still. Raises as `first`."""
        async for api_version, kind, name, _ in self._differing():
            await self._mend(api_version, kind, name)

    async def again(self) -> None:
        """Mend what has been missed twice: a watch may be a moment behind. Raises as `first`."""
        doubtful: dict[tuple[str, str, str], str | None] = {}
        missed = 0
        async for api_version, kind, name, before in self._differing():
            subject = (kind, *name)
            if subject in self._doubtful and self._doubtful[subject] == before:
                missed += 1
                await self._mend(api_version, kind, name)
            else:
                doubtful[subject] = before
        self._doubtful = doubtful
        self._world.measures.surveys += 1
        self._world.measures.missed_changes += missed
        if missed:
            self._missed_in_a_row += 1
            log.warning("the watches have missed %d changes", missed)
        elif not doubtful:
            self._missed_in_a_row = 0

    async def _differing(self) -> AsyncIterator[tuple[str, str, Name, str | None]]:
        """Everything whose version isn't the one that is known, with that one."""
        for api_version, kind in self._kinds():
            listed = {name_of(each): each for each in await self._list(api_version, kind, names_only=True)}
            known = self._world.cluster.versions(kind)
            for name in listed.keys() | known.keys():
                if listed.get(name, {}).get("metadata", {}).get("resourceVersion") != known.get(name):
                    yield api_version, kind, name, known.get(name)

    async def _mend(self, api_version: str, kind: str, name: tuple[str, str]) -> None:
        known = self._world.cluster.get(kind, *name)
        # A list of one: whoever may list needs no other right.
        found = await self._world.api.list(collection(api_version, kind, name[0]), name=name[1])
        if found:
            self._workers.note(found[0])
        elif known is not None:
            self._workers.note_gone(known)

    def _kinds(self) -> list[tuple[str, str]]:
        kinds = [(API_VERSION, kind) for kind in WATCHED]
        return [*kinds, ("apps/v1", "Deployment"), ("v1", "Namespace")]

    async def _list(self, api_version: str, kind: str, *, names_only: bool) -> list[Object]:
        selector = f"{MANAGED_BY}={FIELD_MANAGER}" if kind == "Deployment" else ""
        found: list[Object] = []
        everywhere = kind == "Namespace" or not self._world.options.watched
        for namespace in ("",) if everywhere else self._world.options.watched:
            try:
                found += await self._world.api.list(
                    collection(api_version, kind, namespace), names_only=names_only, selector=selector
                )
            except KubernetesRefused as refused:
                if kind == "Namespace" and refused.status == 403:
                    self.reads_namespaces = False
                elif refused.status != 404:  # the definition is not there yet
                    raise
        return found
