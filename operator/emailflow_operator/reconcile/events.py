"""Kubernetes Events: one when a condition that people should know of changes, and never the same twice."""

import hashlib
from collections.abc import Mapping
from typing import Any

from emailflow_operator.reconcile import reasons
from emailflow_operator.reconcile.cluster import Object, condition_of
from emailflow_operator.reconcile.durability import DURABLE
from emailflow_operator.reconcile.receiving import RECEIVER_CLOSED
from emailflow_operator.reconcile.verdicts import BEHIND_RETENTION

CONTROLLER = "emailflow.dev/operator"
_QUIET = {reasons.PROGRESSING}
"""Reasons that every object passes through."""
_MAX_NOTE = 1024
_MAX_NAME = 253


def events_for(before: Object, status: Mapping[str, Any], instance: str) -> list[Object]:
    """The Events (events.k8s.io/v1) that a new status is worth; their names make a repeat a conflict.

    `instance` is who reports; the time is the condition's own.
    """
    told = []
    for new in status["conditions"]:
        old = condition_of(before.get("status"), new["type"])
        if (old.get("status"), old.get("reason")) != (new["status"], new["reason"]) and _is_news(new):
            told.append(_event(before, new, instance))
    return told


def _is_news(condition: Mapping[str, Any]) -> bool:
    kind, status = condition["type"], condition["status"]
    if kind == "Ready":
        return condition["reason"] not in _QUIET
    return (kind, status) in {(DURABLE, "False"), (BEHIND_RETENTION, "True"), (RECEIVER_CLOSED, "True")}


def _event(regarding: Object, condition: Mapping[str, Any], instance: str) -> Object:
    metadata = regarding["metadata"]
    generation = str(condition.get("observedGeneration"))
    said = "\n".join((metadata.get("uid", ""), generation, condition["reason"], condition["message"]))
    digest = hashlib.sha256(f"{said}\n{condition['lastTransitionTime']}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{metadata['name'][: _MAX_NAME - 17]}.{digest}",
            "namespace": metadata["namespace"],
        },
        "eventTime": condition["lastTransitionTime"].replace("Z", ".000000Z"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128] or CONTROLLER,
        "action": "Reconcile",
        "type": "Normal" if (condition["type"], condition["status"]) == ("Ready", "True") else "Warning",
        "reason": condition["reason"],
        "note": condition["message"][:_MAX_NOTE],
        "regarding": {
            **{key: regarding[key] for key in ("apiVersion", "kind")},
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid", ""),
        },
    }
