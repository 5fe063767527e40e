"""Children of a runtime: applied when the live object doesn't say all that is wanted.

Only what was made for this EmailRuntime is ever changed or deleted, and there the operator's word counts
(force): what people or an autoscaler have set of the same fields is put right again. An object of somebody
else's under a child's name is left alone and named.

What was found to be right is remembered, so that a pass without a change asks nothing; `forget` makes the
next one look again.
"""

import hashlib
import json
import logging

from emailflow_api.child_names import child_name
from emailflow_operator.adapters.kubernetes_api import path_of
from emailflow_operator.adapters.link_keys import ensure_keyring
from emailflow_operator.control.world import World
from emailflow_operator.errors import ChildNotOurs, KubernetesRefused, OperatorError
from emailflow_operator.reconcile.children.earlier import earlier_children, is_available
from emailflow_operator.reconcile.children.labels import is_owned_by
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
        self._earlier_are_gone = False

    def forget(self) -> None:
        """Look at all of them again at the next pass."""
        self._right.clear()

    async def ensure(self, owner: Object, wanted: list[Object]) -> None:
        """Make the cluster say this, and remove what an earlier version made under other names.

        Raises KubernetesRefused, ChildNotOurs for the first refused, after the rest; but no pod starts
        beside a Service, settings or an account that are somebody else's.
        """
        refused: list[OperatorError] = []
        for manifest in wanted:
            foreign = any(isinstance(each, ChildNotOurs) for each in refused)
            if foreign and manifest["kind"] == "Deployment":
                continue
            try:
                await self._ensure(owner, manifest)
            except (KubernetesRefused, ChildNotOurs) as error:
                log.warning("a child is refused: %s", error)
                refused.append(error)
        if refused:
            raise refused[0]
        await self._remove_earlier(owner)

    async def ensure_keyring(self, owner: Object) -> None:
        """Make sure of the keys that sign links. Raises KubernetesRefused."""
        namespace, name = name_of(owner)
        if (owner.get("spec") or {}).get("keysSecretRef") is None and KEYS_SECRET not in self._right:
            await ensure_keyring(self._world.api, namespace, name)
            self._right[KEYS_SECRET] = name

    async def _ensure(self, owner: Object, manifest: Object) -> None:
        path, digest = path_of(manifest), _digest(manifest)
        if self._right.get(path) == digest:
            return
        live = await self._world.api.get(path)
        version = (live or {}).get("metadata", {}).get("resourceVersion", "")
        if live is not None and not is_owned_by(live, owner):
            raise _not_ours(manifest)
        if live is None or (not says(live, manifest) and self._applied.get(path) != (digest, version)):
            live = await self._apply(live, manifest)
            self._applied[path] = (digest, live["metadata"]["resourceVersion"])
            self._world.measures.children_applied += 1
        if manifest["kind"] == "Deployment":
            self._world.cluster.put("Deployment", live)
        self._right[path] = digest

    async def _apply(self, live: Object | None, manifest: Object) -> Object:
        """Create it, without force: somebody may have been first. Or change this very object."""
        if live is not None:
            about = {**manifest["metadata"], "uid": live["metadata"]["uid"]}
            return await self._world.api.apply({**manifest, "metadata": about})
        try:
            return await self._world.api.apply(manifest, force=False)
        except KubernetesRefused as refused:
            if refused.status == 409:
                raise _not_ours(manifest) from None
            raise

    async def _remove_earlier(self, owner: Object) -> None:
        """Once pods of the present name are there. Shards are handed over: two pods never own one."""
        namespace, name = name_of(owner)
        if self._earlier_are_gone or not is_available(
            self._world.cluster.get("Deployment", namespace, child_name(name))
        ):
            return
        for each in earlier_children(owner):
            live = await self._world.api.get(path_of(each))
            if live is not None and is_owned_by(live, owner):
                await self._world.api.delete(live)
                log.info("%s/%s: deleted the %s of an earlier version", namespace, name, each["kind"])
        self._earlier_are_gone = True


def _not_ours(manifest: Object) -> ChildNotOurs:
    what = f"{manifest['kind']} {'/'.join(name_of(manifest))}"
    return ChildNotOurs(
        f"the {what} was not made for this EmailRuntime (no ownerReference and label of its own) and is "
        "left alone: rename or delete it, or give the EmailRuntime another name"
    )


def _digest(manifest: Object) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
