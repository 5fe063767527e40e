"""Secrets and ConfigMaps as `emailflow dev` has them: in memory, from the folder of manifests.

Values never leave this module but to the one who asks for a key by name.
"""

from collections.abc import Mapping

from emailflow_api.plans import SecretKey
from emailflow_runtime.errors import EmailFlowError

Held = Mapping[tuple[str, str], Mapping[str, bytes]]
"""By (namespace, name), then by key."""


class FileNotHeld(EmailFlowError):
    """A Secret or ConfigMap, or the key in it, is not there."""

    reason = "ReferenceNotFound"


class HeldInMemory:
    """What a folder of manifests declares. `replace` is how a change of the folder arrives."""

    def __init__(self) -> None:
        self._secrets: Held = {}
        self._config_maps: Held = {}

    def replace(self, *, secrets: Held, config_maps: Held) -> None:
        """Hold these from now on."""
        self._secrets = secrets
        self._config_maps = config_maps

    def secret(self, key: SecretKey) -> bytes:
        """The value. Raises FileNotHeld."""
        return _find(self._secrets, "Secret", key.namespace, key.name, key.key)

    def read(self, namespace: str, config_map: str, key: str) -> bytes:
        """See Attachments. Raises FileNotHeld."""
        return _find(self._config_maps, "ConfigMap", namespace, config_map, key)


def _find(held: Held, kind: str, namespace: str, name: str, key: str) -> bytes:
    try:
        return held[namespace, name][key]
    except KeyError:
        raise FileNotHeld(f"{kind} {namespace}/{name} with the key {key} is not there") from None
