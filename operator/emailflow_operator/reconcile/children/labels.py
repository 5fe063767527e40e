"""Names and labels of what is made for an EmailRuntime. Nothing else may build such a name."""

import hashlib
from collections.abc import Mapping
from typing import Any

from emailflow_api.kinds import API_VERSION
from emailflow_operator.reconcile.cluster import Object
from emailflow_operator.reconcile.scope import CHILD_OF

FIELD_MANAGER = "emailflow-operator"
MANAGED_BY = "app.kubernetes.io/managed-by"
_LONGEST = 63
"""Of a Service's name and of a label's value (RFC 1123 label)."""


def child_name(runtime: str, prefix: str = "emailflow-") -> str:
    """What the children of a runtime are called; long names are cut, and told apart by a hash."""
    name = f"{prefix}{runtime}"
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - 9]}-{hashlib.sha256(runtime.encode()).hexdigest()[:8]}"


def pod_selector(runtime: str) -> dict[str, str]:
    """The labels that find a runtime's pods; a Deployment's selector can't change, so they may not either."""
    return {"app.kubernetes.io/name": "emailflow-runtime", CHILD_OF: runtime}


def labels(runtime: str) -> dict[str, str]:
    """The labels of a runtime's children."""
    return {**pod_selector(runtime), "app.kubernetes.io/part-of": "emailflow", MANAGED_BY: FIELD_MANAGER}


def metadata(owner: Object, *, name: str | None = None) -> dict[str, Any]:
    """The metadata of a child: the garbage collector removes it with its EmailRuntime."""
    about: Mapping[str, Any] = owner["metadata"]
    reference = {
        "apiVersion": API_VERSION,
        "kind": "EmailRuntime",
        "name": about["name"],
        "uid": about.get("uid", ""),
        "controller": True,
        # True would need the right to update finalizers, and could hold up the deletion of the owner.
        "blockOwnerDeletion": False,
    }
    return {
        "name": name or child_name(about["name"]),
        "namespace": about["namespace"],
        "labels": labels(about["name"]),
        "ownerReferences": [reference],
    }
