"""How reviews see other objects: a port, since they are judged in another process than the picture is in."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Lister(Protocol):
    """The objects that are known at this moment; best effort, an empty one costs warnings only."""

    def of(self, kind: str, namespace: str | None = None) -> Iterable[Mapping[str, Any]]:
        """All objects of a kind, in one namespace or in all."""

    def get(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        """One object, if it is known."""
