"""The Deployment of a runtime's pods, fit for Pod Security `restricted` and without a token of the cluster.

A new pod stands by, ready, before an old one goes: the old one then hands its shards over and the new one
takes them at once. So none may be unavailable while they are replaced.
"""

import hashlib
from typing import Any

from emailflow_api.child_names import child_name
from emailflow_api.kinds import EmailRuntime
from emailflow_api.pod_settings import ADMIN_PORT, EVENTS_PORT, LINKS_PORT, SECRETS_FOLDER
from emailflow_operator.reconcile.children.labels import labels, metadata, pod_selector
from emailflow_operator.reconcile.children.secrets import Mount
from emailflow_operator.reconcile.children.settings import JWKS_KEY, SETTINGS_KEY, Image
from emailflow_operator.reconcile.cluster import Object

CONTAINER = "runtime"
GRACE_SECONDS = 30
LED_HERE_SECONDS = 3
"""How long a pod that has to end serves as before: until Services lead nobody to it any more."""
SETTINGS_HASH = "emailflow.dev/settings-hash"
USER = 65532
USUAL_REQUESTS = {"cpu": "100m", "memory": "128Mi"}
"""Of a pod whose spec names no others: an idle runtime takes some 90 MB."""


def deployment(
    owner: Object, runtime: EmailRuntime, image: Image, settings: str, mounts: list[Mount]
) -> Object:
    """The manifest. `settings` is runtime.json: a pod reads it once, so a change replaces pods."""
    name = runtime.name
    pod = runtime.spec.pod
    template = {
        "metadata": {
            "labels": {**pod.labels, **labels(name)},
            "annotations": {
                **pod.annotations,
                SETTINGS_HASH: hashlib.sha256(settings.encode()).hexdigest()[:16],
            },
        },
        "spec": _pod_spec(runtime, image, mounts),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(owner),
        "spec": {
            "replicas": runtime.spec.replicas,
            "selector": {"matchLabels": pod_selector(name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    }


def _pod_spec(runtime: EmailRuntime, image: Image, mounts: list[Mount]) -> dict[str, Any]:
    name, pod = runtime.name, runtime.spec.pod
    spec: dict[str, Any] = {
        "serviceAccountName": child_name(name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(runtime, image, mounts)],
        "volumes": [*_own_volumes(name), *(_secret_volume(index, each) for index, each in enumerate(mounts))],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": pod_selector(name)},
            }
            for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
        ],
    }
    if pod.node_selector:
        spec["nodeSelector"] = pod.node_selector
    if pod.tolerations:
        spec["tolerations"] = [each.model_dump(by_alias=True, exclude_none=True) for each in pod.tolerations]
    if image.pull_secrets:
        spec["imagePullSecrets"] = [{"name": each} for each in image.pull_secrets]
    return spec


def _container(runtime: EmailRuntime, image: Image, mounts: list[Mount]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": image.name,
        "args": ["runtime"],
        "ports": [
            {"name": "events", "containerPort": EVENTS_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
            {"name": "links", "containerPort": LINKS_PORT, "protocol": "TCP"},
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # Other nodes go on leading producers here for a moment after the pod has begun to end.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LED_HERE_SECONDS)]}}},
        # A start on a busy node takes long; afterwards, silence means that only a restart helps.
        "startupProbe": {**_probe("/healthz"), "periodSeconds": 1, "failureThreshold": 120},
        "livenessProbe": {
            **_probe("/healthz"),
            "periodSeconds": 10,
            "failureThreshold": 3,
            "timeoutSeconds": 5,
        },
        "readinessProbe": {
            **_probe("/readyz"),
            "periodSeconds": 2,
            "failureThreshold": 2,
            "timeoutSeconds": 2,
        },
        "volumeMounts": [
            {"name": "settings", "mountPath": "/etc/emailflow/settings", "readOnly": True},
            {"name": "issuer", "mountPath": "/etc/emailflow/issuer", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own emptyDir
            *(
                {"name": f"secret-{index}", "mountPath": f"{SECRETS_FOLDER}/{each.secret}", "readOnly": True}
                for index, each in enumerate(mounts)
            ),
        ],
    }
    if image.pull_policy:
        container["imagePullPolicy"] = image.pull_policy
    if image.environment:
        container["env"] = [{"name": name, "value": value} for name, value in image.environment]
    container["resources"] = _resources(runtime)
    return container


def _resources(runtime: EmailRuntime) -> dict[str, Any]:
    """What the spec says; where it says nothing of a resource, a request, so that no pod is BestEffort."""
    said = runtime.spec.pod.resources.model_dump(by_alias=True)
    limits, requests = said.get("limits") or {}, said.get("requests") or {}
    usual = {name: value for name, value in USUAL_REQUESTS.items() if name not in limits}
    wanted = {"limits": limits, "requests": {**usual, **requests}}
    return {key: value for key, value in wanted.items() if value}


def _probe(path: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "admin"}}


def _own_volumes(runtime: str) -> list[dict[str, Any]]:
    name = child_name(runtime)
    return [
        {
            "name": "settings",
            "configMap": {"name": name, "items": [{"key": SETTINGS_KEY, "path": SETTINGS_KEY}]},
        },
        {
            "name": "issuer",
            "configMap": {
                "name": name,
                "optional": True,
                "items": [{"key": JWKS_KEY, "path": JWKS_KEY}],
            },
        },
        {"name": "tmp", "emptyDir": {}},
    ]


def _secret_volume(index: int, mount: Mount) -> dict[str, Any]:
    # Optional: a Secret may come later, and the pod must not wait for that of one provider.
    source: dict[str, Any] = {"secretName": mount.secret, "optional": True, "defaultMode": 0o440}
    if mount.keys:
        source["items"] = [{"key": key, "path": key} for key in mount.keys]
    return {"name": f"secret-{index}", "secret": source}
