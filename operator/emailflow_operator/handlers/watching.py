"""Kopf's watches: each event goes into the picture of the cluster. Kopf keeps no state on any object.

There are `on.event` handlers only: with any other kind, Kopf would write finalizers and annotations.
"""

from typing import Any

from emailflow_api.kinds import GROUP, VERSION
from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.control.workers import Workers
from emailflow_operator.handlers.framework import kopf
from emailflow_operator.reconcile.children.labels import FIELD_MANAGER, MANAGED_BY

PLURALS = ("emailruntimes", "emailflows", "emailtemplates", "emailproviders", "eventtypes", "contactpolicies")
WORKER_LIMIT = 20
IDLE_TIMEOUT = 0.01
"""Seconds that an object's worker in Kopf keeps its place when it has nothing to do. Kopf's 5 s would let
20 objects through every 5 s, since each event is done in no time."""
SERVER_TIMEOUT = 300
CLIENT_TIMEOUT = 330
"""Seconds: a watch that the server should have ended long ago is dead."""


def watch(registry: kopf.OperatorRegistry, workers: Workers, access: Access, *, namespaces: bool) -> None:
    """Register the handlers. `namespaces`: labels of Namespaces may be watched."""

    async def note(event: Any, **_: Any) -> None:
        value = dict(event["object"])
        if event["type"] == "DELETED":
            workers.note_gone(value)
        else:
            workers.note(value)

    for plural in PLURALS:
        kopf.on.event(GROUP, VERSION, plural, registry=registry)(note)
    kopf.on.event("apps", "v1", "deployments", registry=registry, labels={MANAGED_BY: FIELD_MANAGER})(note)
    if namespaces:
        kopf.on.event("", "v1", "namespaces", registry=registry)(note)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return connection_info(access)


def connection_info(access: Access) -> kopf.ConnectionInfo:
    """What Kopf connects with; it asks again when a token is refused."""
    scheme, _, token = access.credentials().partition(" ")
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.authority,
        insecure=access.insecure or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=access.certificate,
        private_key_path=access.key,
    )


def settings(*, scanning: bool) -> kopf.OperatorSettings:
    """Kopf's settings. `scanning`: it may watch for definitions that come and go."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.peering.standalone = True
    made.scanning.disabled = not scanning
    made.queueing.worker_limit = WORKER_LIMIT
    made.queueing.idle_timeout = IDLE_TIMEOUT
    made.watching.server_timeout = SERVER_TIMEOUT
    made.watching.client_timeout = CLIENT_TIMEOUT
    made.watching.label_selectors["apps", "v1", "deployments"] = f"{MANAGED_BY}={FIELD_MANAGER}"
    # Nothing is ever persisted; should a handler of another kind slip in, it is at least ours.
    made.persistence.finalizer = f"{GROUP}/finalizer"
    made.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    made.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    return made
