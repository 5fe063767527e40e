"""One pod: whether it gets a sidecar, and the pod as it is with one.

Called again with its own result it changes nothing, also when another webhook has added something since.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from emailflow_operator.injection import sidecar
from emailflow_operator.injection.wishes import (
    INJECTED,
    NOT_INJECTED,
    PORT,
    InjectionRefused,
    SidecarSettings,
    Wishes,
    asks,
    read_wishes,
)

K_SINK = "K_SINK"
_UID = 64532
_CHANGED = ("containers", "initContainers", "volumes")
_GRACE_SECONDS = 30
"""What Kubernetes gives a pod that doesn't say."""


class Injection(NamedTuple):
    """What became of a pod: itself, the patch that leads to it (empty: unchanged), a warning, its runtime."""

    pod: dict[str, Any]
    patch: list[dict[str, Any]]
    warning: str = ""
    runtime: tuple[str, str] | None = None


class Injector:
    """Injects sidecars as one installation's settings say."""

    def __init__(self, settings: SidecarSettings) -> None:
        self._settings = settings

    def inject(self, pod: Mapping[str, Any], namespace: str) -> Injection:
        """The pod (or a pod template) with its sidecar, if it asks for one; it goes into `namespace`.

        Raises InjectionRefused when its wishes can't be met. The pod itself is not changed.
        """
        spec = pod.get("spec")
        if not asks(pod) or not isinstance(spec, Mapping):
            return Injection(dict(pod), [])
        wishes = read_wishes(pod, namespace)
        if why := _unfit(spec):
            return _skipped(pod, why)
        _check(spec, wishes)
        return self._with_sidecar(pod, spec, wishes)

    def _with_sidecar(self, pod: Mapping[str, Any], spec: Mapping[str, Any], wishes: Wishes) -> Injection:
        added = sidecar.container(
            self._settings,
            wishes,
            uid=_free_uid(spec),
            grace_seconds=_whole(spec.get("terminationGracePeriodSeconds"), _GRACE_SECONDS),
        )
        volumes = sidecar.volumes(self._settings, wishes)
        sink = f"http://localhost:{wishes.port}/events"
        inner = {
            **spec,
            "initContainers": _placed(added, [_told(each, sink) for each in _list(spec, "initContainers")]),
            "containers": [_told(each, sink) for each in _list(spec, "containers")],
            "volumes": _merged(_list(spec, "volumes"), volumes),
        }
        content = json.dumps([added, volumes], sort_keys=True).encode()
        marks = {INJECTED: hashlib.sha256(content).hexdigest()[:12]}
        return _injection(pod, inner, marks, runtime=wishes.runtime)


def _skipped(pod: Mapping[str, Any], why: str) -> Injection:
    warning = f"no EmailFlow sidecar: {why}"
    return _injection(pod, pod["spec"], {NOT_INJECTED: why}, warning=warning)


def _injection(
    pod: Mapping[str, Any],
    spec: Mapping[str, Any],
    marks: Mapping[str, str],
    *,
    warning: str = "",
    runtime: tuple[str, str] | None = None,
) -> Injection:
    metadata = pod["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **marks}
    made = {**pod, "metadata": {**metadata, "annotations": annotations}, "spec": dict(spec)}
    patch: list[dict[str, Any]] = []
    if annotations != metadata.get("annotations"):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": annotations})
    # "add" replaces a member that is there already (RFC 6902 section 4.1).
    patch += [
        {"op": "add", "path": f"/spec/{name}", "value": spec[name]}
        for name in _CHANGED
        if name in spec and spec[name] != pod["spec"].get(name)
    ]
    return Injection(made, patch, warning, runtime)


def _unfit(spec: Mapping[str, Any]) -> str:
    """Why a pod of this kind has no use for a sidecar, if so."""
    if spec.get("hostNetwork") is True:
        return "the pod uses the host's network, where its port would be everybody's"
    system = spec.get("os")
    if isinstance(system, Mapping) and system.get("name") == "windows":
        return "the pod is for Windows"
    return ""


def _check(spec: Mapping[str, Any], wishes: Wishes) -> None:
    """Raises InjectionRefused for what would keep the pod from running."""
    for kind in ("containers", "initContainers"):
        for index, each in enumerate(_list(spec, kind)):
            own = kind == "initContainers" and each.get("name") == sidecar.NAME and _is_native(each)
            if own:
                continue
            if each.get("name") == sidecar.NAME:
                raise InjectionRefused(f"spec.{kind}[{index}].name: expected another than {sidecar.NAME}")
            for port in _list(each, "ports"):
                if port.get("containerPort") in (wishes.port, wishes.port + 1):
                    raise InjectionRefused(
                        f"spec.{kind}[{index}].ports: the sidecar needs {wishes.port} and {wishes.port + 1}; "
                        f"expected other ports, or {PORT} to name another one"
                    )


def _is_native(container: Mapping[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _placed(added: dict[str, Any], others: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The sidecar where it is, else first, so that all others can use it."""
    if not any(each.get("name") == sidecar.NAME for each in others):
        return [added, *others]
    return [_kept(each, added) if each.get("name") == sidecar.NAME else each for each in others]


def _kept(there: Mapping[str, Any], added: dict[str, Any]) -> Mapping[str, Any]:
    """The sidecar as wanted, with what others (defaulting, ServiceAccount admission) put beside it."""
    mounts = _merged(_list(there, "volumeMounts"), added["volumeMounts"])
    kept: Mapping[str, Any] = _over(there, {**added, "volumeMounts": mounts})
    return kept


def _over(there: Any, wanted: Any) -> Any:
    """What is wanted; members that it doesn't name stay, since the API server fills in defaults."""
    if isinstance(there, Mapping) and isinstance(wanted, Mapping):
        return {**there, **{name: _over(there.get(name), value) for name, value in wanted.items()}}
    if isinstance(there, list) and isinstance(wanted, list) and len(there) == len(wanted):
        return [_over(*pair) for pair in zip(there, wanted, strict=True)]
    return wanted


def _told(container: Mapping[str, Any], sink: str) -> Mapping[str, Any]:
    """The container with K_SINK, unless it sets that itself or is the sidecar."""
    environment = _list(container, "env")
    if container.get("name") == sidecar.NAME or any(each.get("name") == K_SINK for each in environment):
        return container
    return {**container, "env": [*environment, {"name": K_SINK, "value": sink}]}


def _merged(
    there: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Volumes, or mounts of them: what is there, ours as wanted in the place of their namesakes or behind."""
    named = {each["name"]: each for each in wanted}
    kept = [
        _over(each, named.pop(each["name"])) if each.get("name") in named else each
        for each in there
        if each.get("name") in named or each.get("name") not in sidecar.VOLUMES
    ]
    return [*kept, *named.values()]


def _free_uid(spec: Mapping[str, Any]) -> int:
    """A user that no container of the pod runs as, so that nobody else is the sidecar's user."""
    taken = set(_uids(spec))
    return next(uid for uid in range(_UID, _UID + 1000) if uid not in taken)


def _uids(spec: Mapping[str, Any]) -> Iterator[int]:
    others = (each for kind in ("containers", "initContainers") for each in _list(spec, kind))
    for each in (spec, *(other for other in others if other.get("name") != sidecar.NAME)):
        context = each.get("securityContext")
        if isinstance(context, Mapping):
            yield _whole(context.get("runAsUser"), 0)


def _list(value: Mapping[str, Any], member: str) -> list[Mapping[str, Any]]:
    """A list of objects; what else stands there is the API server's to refuse."""
    found = value.get(member)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _whole(value: object, default: int) -> int:
    return value if isinstance(value, int) else default
