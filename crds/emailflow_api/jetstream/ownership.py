"""Whose a stream is, as its own metadata says: who finds it knows what may become of it.

The operator marks the streams that it makes, since an EmailRuntime may be deleted while nobody looks. It
decides nothing here. Pure.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

RUNTIME = "emailflow.dev/runtime"
DELETION_POLICY = "emailflow.dev/deletion-policy"
INSTALLATION = "emailflow.dev/installation"


class StreamOwner(NamedTuple):
    """The EmailRuntime `namespace/name` of an installation, and what it wants for its streams."""

    namespace: str
    name: str
    deletion_policy: str = "Retain"
    installation: str = ""
    """Of the operator whose NATS it is; empty: a NATS that the EmailRuntime names itself."""

    def metadata(self) -> dict[str, str]:
        """As a stream carries it."""
        said = {RUNTIME: f"{self.namespace}/{self.name}", DELETION_POLICY: self.deletion_policy}
        return {**said, INSTALLATION: self.installation} if self.installation else said

    def text(self) -> str:
        """As an account carries it: one word."""
        return f"{RUNTIME}={self.namespace}/{self.name}={self.deletion_policy}"


def owner_of(config: Mapping[str, Any]) -> StreamOwner | None:
    """Whose a stream of this configuration is; None for one that doesn't say."""
    metadata: Mapping[str, str] = config.get("metadata") or {}
    namespace, _, name = metadata.get(RUNTIME, "").partition("/")
    if not (namespace and name):
        return None
    policy = metadata.get(DELETION_POLICY, "Retain")
    return StreamOwner(namespace, name, policy, metadata.get(INSTALLATION, ""))


def owner_of_text(text: str) -> StreamOwner | None:
    """What `StreamOwner.text` has said; None for anything else."""
    parts = text.split("=")
    namespace, _, name = parts[1].partition("/") if len(parts) == 3 else ("", "", "")
    if parts[0] != RUNTIME or not (namespace and name):
        return None
    return StreamOwner(namespace, name, parts[2])
