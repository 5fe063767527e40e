"""Secrets as a pod has them: mounted folders, `<folder>/<name>/<key>`, that the kubelet keeps current.

The kubelet replaces a rotated Secret in one step, by a symbolic link; so a value is read again when its
file is another one. Nothing is written here, and no value is logged.
"""

import os
from pathlib import Path

from emailflow_api.plans import SecretKey
from emailflow_runtime.core.links import Keyring, Link, parse_keyring
from emailflow_runtime.errors import EmailFlowError, SecretNotFound

State = tuple[int, int, int]


class InvalidKeyring(EmailFlowError):
    """The file of keys that sign links is not there, or has no good key."""

    reason = "InvalidKeyring"


def state_of(path: Path) -> State:
    """What differs when a file was written or replaced. Raises OSError."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


class SecretsFolder:
    """The Secrets of one namespace, the runtime's own."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder
        self._namespace = namespace
        self._read: dict[Path, tuple[State, bytes]] = {}

    def secret(self, key: SecretKey) -> bytes:
        """The value as it is now. Raises SecretNotFound."""
        missing = f"Secret {key.namespace}/{key.name} with the key {key.key} is not there"
        parts = (key.name, key.key)
        if key.namespace != self._namespace or any(os.sep in part or part == ".." for part in parts):
            raise SecretNotFound(missing)
        path = self._folder / key.name / key.key
        try:
            state = state_of(path)
            known = self._read.get(path)
            if known is None or known[0] != state:
                known = self._read[path] = (state, path.read_bytes())
        except OSError:
            raise SecretNotFound(missing) from None
        return known[1]


class KeyringFile(Keyring):
    """The keyring in a file, read again when it was replaced; one that can't be read changes nothing."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidKeyring."""
        self._path = path
        try:
            self._state = state_of(path)
            self._current = parse_keyring(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidKeyring(f"keyring {path.name}: expected lines `id: secret`: {error}") from None

    def sign(self, link: Link) -> str:
        """See Keyring."""
        return self._fresh().sign(link)

    def read(self, token: str) -> Link | None:
        """See Keyring."""
        return self._fresh().read(token)

    def _fresh(self) -> Keyring:
        try:
            state = state_of(self._path)
            if state != self._state:
                self._state, self._current = state, parse_keyring(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            # Half-way through a rotation, or a mistake: what was good stays good.
            return self._current
        return self._current
