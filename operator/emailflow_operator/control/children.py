"""Children of a runtime: applied when the live object doesn't say all that is wanted.

What was found to be right is remembered, so that a pass without a change asks nothing; `forget` makes the
next one look again.
"""

import hashlib
import json
import logging

from emailflow_operator.adapters.kubernetes_api import path_of
from emailflow_operator.adapters.link_keys import ensure_keyring
from emailflow_operator.control.world import World
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.manifests import says
from emailflow_operator.reconcile.children.secrets import KEYS_SECRET
from emailflow_operator.reconcile.cluster import Object, name_of

log = logging.getLogger(__name__)


class Children:
    """The children of one runtime."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._right: dict[str, str] = {}
        self._applied: dict[str, tuple[str, str]] = {}
        """Digest and resourceVersion of what was applied: the server may write a quantity another way."""

    def forget(self) -> None:
        """Look at all of them again at the next pass."""
        self._right.clear()

    async def ensure(self, wanted: list[Object]) -> None:
        """Make the cluster say this. Raises KubernetesRefused for the first refused, after the rest."""
        refused: KubernetesRefused | None = None
        for manifest in wanted:
            try:
                await self._ensure(manifest)
            except KubernetesRefused as error:
                log.warning("a child is refused: %s", error)
                refused = refused or error
        if refused is not None:
            raise refused

    async def ensure_keyring(self, owner: Object) -> None:
        """Make sure of the keys that sign links. Raises KubernetesRefused."""
        namespace, name = name_of(owner)
        if (owner.get("spec") or {}).get("keysSecretRef") is None and KEYS_SECRET not in self._right:
            await ensure_keyring(self._world.api, namespace, name)
            self._right[KEYS_SECRET] = name

    async def _ensure(self, manifest: Object) -> None:
        path, digest = path_of(manifest), _digest(manifest)
        if self._right.get(path) == digest:
            return
        live = await self._world.api.get(path)
        version = (live or {}).get("metadata", {}).get("resourceVersion", "")
        if live is None or (not says(live, manifest) and self._applied.get(path) != (digest, version)):
            live = await self._world.api.apply(manifest)
            self._applied[path] = (digest, live["metadata"]["resourceVersion"])
            self._world.measures.children_applied += 1
        if manifest["kind"] == "Deployment":
            self._world.cluster.put("Deployment", live)
        self._right[path] = digest


def _digest(manifest: Object) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
