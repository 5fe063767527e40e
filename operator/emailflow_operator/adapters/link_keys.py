"""The keyring that signs a runtime's links, where it names none: made once, and never changed here.

Mails that are out carry links signed by it, so it outlives its EmailRuntime, and whoever made it first (a
person, another operator) wins.
"""

import base64
import logging
import secrets

from emailflow_operator.adapters.kubernetes_api import FIELD_MANAGER, KubernetesApi, path_of
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.secrets import KEYS_SECRET
from emailflow_operator.reconcile.cluster import Object

log = logging.getLogger(__name__)


async def ensure_keyring(api: KubernetesApi, namespace: str, runtime: str) -> None:
    """Make sure that the runtime's key is in the Secret. Raises KubernetesRefused, KubernetesUnreachable."""
    name = secrets.token_hex(4)
    keyring = f"{name}: {secrets.token_hex(32)}\n"
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": KEYS_SECRET,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "emailflow"},
        },
        "data": {runtime: base64.b64encode(keyring.encode()).decode()},
    }
    there = await api.get(path_of(secret))
    if runtime in ((there or {}).get("data") or {}):
        return
    try:
        # A manager of its own for each key: so nobody's apply can replace another's, or take it away.
        await api.apply(secret, manager=f"{FIELD_MANAGER}-{runtime}-{name}", force=False)
    except KubernetesRefused as refused:
        if refused.status != 409:
            raise
        log.info("%s/%s: somebody else was first with the link keys", namespace, runtime)
    else:
        log.info("%s/%s: made link keys", namespace, runtime)
