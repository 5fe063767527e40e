"""What versions up to 0.1 made for an EmailRuntime under other names, and when it may go.

Their names could meet those of the installation's own objects. Services stay: producers and ingresses know
them by name, and their selectors find the pods of any version.
"""

from emailflow_api.child_names import child_name, earlier_name
from emailflow_operator.reconcile.cluster import Cluster, Object
from emailflow_operator.reconcile.scope import CHILD_OF

_KINDS = (
    ("apps/v1", "Deployment"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "ConfigMap"),
    ("v1", "ServiceAccount"),
)


def earlier_children(owner: Object) -> list[Object]:
    """API version, kind and metadata of each, in the order in which they are to be deleted."""
    about = owner["metadata"]
    metadata = {"namespace": about["namespace"], "name": earlier_name(about["name"])}
    return [{"apiVersion": version, "kind": kind, "metadata": metadata} for version, kind in _KINDS]


def is_available(deployment: Object | None) -> bool:
    """Whether as many pods of a Deployment as it wants are up to date and ready."""
    if deployment is None:
        return False
    status, wanted = deployment.get("status") or {}, (deployment.get("spec") or {}).get("replicas", 1)
    if not wanted:
        return True
    seen = status.get("observedGeneration") == deployment["metadata"].get("generation")
    ready = min(status.get("readyReplicas") or 0, status.get("updatedReplicas") or 0)
    return bool(seen and ready >= wanted)


def serving(cluster: Cluster, namespace: str, runtime: str) -> Object | None:
    """The Deployment whose pods serve a runtime: the earlier one until a pod of the new one is ready."""
    now = cluster.get("Deployment", namespace, child_name(runtime))
    before = cluster.get("Deployment", namespace, earlier_name(runtime))
    if before is None or (before["metadata"].get("labels") or {}).get(CHILD_OF) != runtime:
        return now
    return now if _ready(now) or not _ready(before) else before


def _ready(deployment: Object | None) -> int:
    return ((deployment or {}).get("status") or {}).get("readyReplicas") or 0
