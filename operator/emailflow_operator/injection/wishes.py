"""What a pod wishes: its label and annotations, read and bounded. Wrong ones are refused with their name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emailflow_api.kinds.text import OBJECT_NAME
from emailflow_operator.errors import OperatorError

LABEL = "emailflow.dev/inject"
RUNTIME = "emailflow.dev/runtime"
PORT = "emailflow.dev/port"
SPOOL = "emailflow.dev/spool"
SPOOL_SIZE = "emailflow.dev/spool-size"
INJECTED = "emailflow.dev/injected"
"""Set by the injector: a hash of what it added, by which outdated pods can be found."""
NOT_INJECTED = "emailflow.dev/not-injected"
"""Set by the injector: why a pod that asked for a sidecar has none."""

EVENTS_PORT = 8790
"""Below the ephemeral ports, and none that a well-known service or mesh uses."""
SMALLEST_SPOOL = 8 << 20
"""Bytes: some of the largest events, and room to work."""
_UNITS = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_QUANTITY = re.compile(r"([0-9]{1,15})([kMGT]|[KMGT]i)?")


class InjectionRefused(OperatorError):
    """The pod asks for a sidecar in a way that can't be met; the message names the annotation."""

    reason = "InjectionRefused"


@dataclass(frozen=True)
class SidecarSettings:
    """What the installation says of all sidecars. `resources` is Kubernetes' own shape."""

    image: str
    image_pull_policy: str = ""
    """Kubernetes' own default when empty."""
    resources: Mapping[str, Any] = field(
        default_factory=lambda: {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"memory": "128Mi"},
        }
    )
    token_seconds: int = 3600
    """Life of the projected token; the kubelet renews it long before (at least 600)."""


class Wishes(NamedTuple):
    """What the pod says. `runtime` is (namespace, name); `spool_bytes` 0: none."""

    runtime: tuple[str, str]
    port: int
    spool_size: str
    spool_bytes: int


def asks(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has the label. Annotations can't ask: webhooks select by labels only."""
    return _marks(pod, "labels").get(LABEL) == "true"


def read_wishes(pod: Mapping[str, Any], namespace: str) -> Wishes:
    """The pod's wishes, defaults filled in. Raises InjectionRefused."""
    given = _marks(pod, "annotations")
    size, spool_bytes = _spool(given)
    return Wishes(_runtime(given, namespace), _port(given), size, spool_bytes)


def _marks(pod: Mapping[str, Any], member: str) -> Mapping[str, str]:
    metadata = pod.get("metadata")
    found = metadata.get(member) if isinstance(metadata, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _runtime(given: Mapping[str, str], namespace: str) -> tuple[str, str]:
    if (text := given.get(RUNTIME)) is None:
        return namespace, "default"
    space, _, name = text.partition("/")
    if not all(re.fullmatch(OBJECT_NAME, part) and len(part) <= 63 for part in (space, name)):
        raise _refusal(RUNTIME, "the namespace and the name of an EmailRuntime, such as mail/default")
    return space, name


def _port(given: Mapping[str, str]) -> int:
    text = given.get(PORT, str(EVENTS_PORT))
    # The next port is for health; ports below 1024 need privileges that the sidecar does without.
    if not re.fullmatch("[0-9]{4,5}", text) or not 1024 <= int(text) < 65535:
        raise _refusal(PORT, "a port from 1024 to 65534")
    return int(text)


def _spool(given: Mapping[str, str]) -> tuple[str, int]:
    wanted = given.get(SPOOL, "false")
    if wanted not in ("true", "false"):
        raise _refusal(SPOOL, '"true" or "false"')
    if wanted == "false":
        return "", 0
    size = given.get(SPOOL_SIZE, "64Mi")
    match = _QUANTITY.fullmatch(size)
    if match is None or (count := int(match[1]) * _UNITS[match[2] or ""]) < SMALLEST_SPOOL:
        raise _refusal(SPOOL_SIZE, "a size of at least 8Mi, such as 64Mi")
    # The kubelet evicts a pod that fills an emptyDir beyond its limit, so the spool stays well below it.
    return size, count * 4 // 5


def _refusal(annotation: str, expected: str) -> InjectionRefused:
    return InjectionRefused(f'metadata.annotations["{annotation}"]: expected {expected}')
