"""Kubernetes Events: one when an object's Ready changes its status or reason, and never the same twice."""

import hashlib
from collections.abc import Mapping
from typing import Any

from emailflow_operator.reconcile import reasons
from emailflow_operator.reconcile.cluster import Object
from emailflow_operator.reconcile.statuses import ready_of

CONTROLLER = "emailflow.dev/operator"
_QUIET = {reasons.PROGRESSING}
"""Reasons that every object passes through."""
_MAX_NOTE = 1024
_MAX_NAME = 253


def event_for(before: Object, status: Mapping[str, Any], instance: str) -> Object | None:
    """The Event (events.k8s.io/v1) that a new status is worth; its name makes a repeat a conflict.

    `instance` is who reports; the time is the condition's own.
    """
    old, new = ready_of(before.get("status")), ready_of(status)
    if (old.get("status"), old.get("reason")) == (new["status"], new["reason"]) or new["reason"] in _QUIET:
        return None
    metadata = before["metadata"]
    said = "\n".join(
        (metadata.get("uid", ""), str(new.get("observedGeneration")), new["reason"], new["message"])
    )
    digest = hashlib.sha256(f"{said}\n{new['lastTransitionTime']}".encode()).hexdigest()[:16]
    regarding = {key: before[key] for key in ("apiVersion", "kind")}
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][: _MAX_NAME - 17]}.{digest}",
            "namespace": metadata["namespace"],
        },
        "eventTime": new["lastTransitionTime"].replace("Z", ".000000Z"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128] or CONTROLLER,
        "action": "Reconcile",
        "type": "Normal" if new["status"] == "True" else "Warning",
        "reason": new["reason"],
        "note": new["message"][:_MAX_NOTE],
        "regarding": {
            **regarding,
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid", ""),
        },
    }
