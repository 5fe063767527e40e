"""The sidecar as a container and its volumes, as `restricted` Pod Security wants them.

The events port is on loopback only, since the sidecar lends its credentials to whoever posts there; probes
come from outside the pod, so they have a port of their own that answers nothing else.
"""

from typing import Any

from emailflow_api.child_names import child_name
from emailflow_api.pod_settings import audience
from emailflow_operator.injection.wishes import SidecarSettings, Wishes

NAME = "emailflow"
TOKEN_VOLUME = "emailflow-token"  # noqa: S105 - a volume's name
SPOOL_VOLUME = "emailflow-spool"
VOLUMES = (TOKEN_VOLUME, SPOOL_VOLUME)
TOKEN_FOLDER = "/var/run/secrets/emailflow.dev"  # noqa: S105 - a folder's name
SPOOL_FOLDER = "/var/lib/emailflow/spool"


def sink_of(runtime: tuple[str, str]) -> str:
    """The receiver of a runtime (namespace, name): its Service."""
    namespace, name = runtime
    return f"http://{child_name(name)}.{namespace}.svc/events"


def container(settings: SidecarSettings, wishes: Wishes, *, uid: int, grace_seconds: int) -> dict[str, Any]:
    """The container. `grace_seconds` is the pod's; the sidecar takes a little less to drain its spool."""
    arguments = [
        "sidecar",
        f"--sink={sink_of(wishes.runtime)}",
        f"--token={TOKEN_FOLDER}/token",
        f"--port={wishes.port}",
        f"--health-port={wishes.port + 1}",
    ]
    mounts = [{"name": TOKEN_VOLUME, "mountPath": TOKEN_FOLDER, "readOnly": True}]
    if wishes.spool_bytes:
        arguments += [
            f"--spool={SPOOL_FOLDER}",
            f"--spool-bytes={wishes.spool_bytes}",
            f"--grace={max(grace_seconds - 2, 1)}",
        ]
        mounts.append({"name": SPOOL_VOLUME, "mountPath": SPOOL_FOLDER})
    probe = {"httpGet": {"path": "/healthz", "port": wishes.port + 1}}
    return {
        "name": NAME,
        "image": settings.image,
        **({"imagePullPolicy": settings.image_pull_policy} if settings.image_pull_policy else {}),
        "args": arguments,
        "restartPolicy": "Always",
        "ports": [{"name": "emailflow-probe", "containerPort": wishes.port + 1, "protocol": "TCP"}],
        "resources": {name: dict(value) for name, value in settings.resources.items()},
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**probe, "periodSeconds": 10},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": uid,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": mounts,
    }


def volumes(settings: SidecarSettings, wishes: Wishes) -> list[dict[str, Any]]:
    """The token, which the kubelet renews in place, and the spool where there is one."""
    token = {
        "path": "token",
        "audience": audience(*wishes.runtime),
        "expirationSeconds": settings.token_seconds,
    }
    found: list[dict[str, Any]] = [
        {"name": TOKEN_VOLUME, "projected": {"sources": [{"serviceAccountToken": token}]}}
    ]
    if wishes.spool_bytes:
        found.append({"name": SPOOL_VOLUME, "emptyDir": {"sizeLimit": wishes.spool_size}})
    return found
