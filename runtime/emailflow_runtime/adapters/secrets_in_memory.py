"""Secrets as `emailflow dev` has them: in memory, from the folder of manifests.

Values never leave this module but to the one who asks for a key by name.
"""

from collections.abc import Mapping

from emailflow_api.plans import SecretKey
from emailflow_runtime.errors import SecretNotFound

Held = Mapping[tuple[str, str], Mapping[str, bytes]]
"""By (namespace, name), then by key."""


class SecretsInMemory:
    """What a folder of manifests declares. `replace` is how a change of the folder arrives."""

    def __init__(self) -> None:
        self._held: Held = {}

    def replace(self, held: Held) -> None:
        """Hold these from now on."""
        self._held = held

    def secret(self, key: SecretKey) -> bytes:
        """The value. Raises SecretNotFound."""
        try:
            return self._held[key.namespace, key.name][key.key]
        except KeyError:
            message = f"Secret {key.namespace}/{key.name} with the key {key.key} is not there"
            raise SecretNotFound(message) from None
