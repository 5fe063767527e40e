"""Labels and owners of what is made for an EmailRuntime: by them an object is known as the operator's own."""

from collections.abc import Mapping
from typing import Any

from emailflow_api.child_names import child_name
from emailflow_api.kinds import API_VERSION, GROUP
from emailflow_operator.reconcile.cluster import Object
from emailflow_operator.reconcile.scope import CHILD_OF

FIELD_MANAGER = "emailflow-operator"
MANAGED_BY = "app.kubernetes.io/managed-by"


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


def is_owned_by(live: Mapping[str, Any], owner: Object) -> bool:
    """Whether a live object was made for this EmailRuntime, or for one of its name that it has replaced.

    An EmailRuntime that was deleted and made again (`kubectl replace --force`, a restore) has another uid. Of
    two of one name and namespace only one can be there, so what names the one before it is its own as well,
    until the garbage collector finds it. Who takes the label away takes the object away from the operator.
    """
    about = live["metadata"]
    if (about.get("labels") or {}).get(MANAGED_BY) != FIELD_MANAGER:
        return False
    return any(
        each.get("kind") == "EmailRuntime"
        and str(each.get("apiVersion")).startswith(f"{GROUP}/")
        and each.get("name") == owner["metadata"]["name"]
        for each in about.get("ownerReferences") or ()
    )
