"""The picture of the cluster: the raw objects that the operator has seen, by kind, namespace and name.

It holds what it is given and says what has changed. It never judges an object: a broken one is kept, too.
"""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, TypeAlias

Object: TypeAlias = dict[str, Any]
"""An object as the API server says it. Never changed in place."""
Name: TypeAlias = tuple[str, str]
"""Namespace (empty for what has none) and name."""

_OWN = ("generation", "labels", "annotations", "deletionTimestamp", "uid")
"""What of the metadata counts as a change; the rest is bookkeeping."""


class Change(IntEnum):
    """How much of an object has changed."""

    NONE = 0
    STATUS = 1
    SPEC = 2
    """Or labels, annotations, data: whatever isn't status or bookkeeping."""


class Cluster:
    """Objects by kind; `of` and `get` never show one that isn't there any more."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, dict[str, Object]]] = {}
        self._versions: dict[str, dict[Name, int]] = {}
        self._changes = 0

    def put(self, kind: str, value: Object) -> Change:
        """Take an object in the place of its namesake, and say what of it is new."""
        kept = _trimmed(value)
        namespace, name = name_of(kept)
        members = self._objects.setdefault(kind, {}).setdefault(namespace, {})
        before = members.get(name)
        members[name] = kept
        if before is None or _essence(before) != _essence(kept):
            self._changes += 1
            self._versions.setdefault(kind, {})[namespace, name] = self._changes
            return Change.SPEC
        return Change.NONE if before.get("status") == kept.get("status") else Change.STATUS

    def remove(self, kind: str, namespace: str, name: str) -> Object | None:
        """Forget an object, and give what was known of it."""
        self._versions.get(kind, {}).pop((namespace, name), None)
        return self._objects.get(kind, {}).get(namespace, {}).pop(name, None)

    def version(self, kind: str, namespace: str, name: str) -> int:
        """Stands while nothing of the object but its status changes, and never comes again; 0: not known."""
        return self._versions.get(kind, {}).get((namespace, name), 0)

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """The object, if it is known."""
        return self._objects.get(kind, {}).get(namespace, {}).get(name)

    def of(self, kind: str, namespace: str | None = None) -> Iterator[Object]:
        """All objects of a kind, in one namespace or in all, by name."""
        spaces = self._objects.get(kind, {})
        for space in sorted(spaces) if namespace is None else [namespace]:
            members = spaces.get(space, {})
            for name in sorted(members):
                yield members[name]

    @property
    def size(self) -> int:
        """How many objects are known."""
        return sum(map(len, self._versions.values()))

    def namespaces(self, kind: str) -> list[str]:
        """The namespaces that have objects of a kind, in order."""
        return sorted(space for space, members in self._objects.get(kind, {}).items() if members)

    def versions(self, kind: str) -> dict[Name, str]:
        """The resourceVersion of each object of a kind."""
        return {name_of(each): each["metadata"].get("resourceVersion", "") for each in self.of(kind)}


def name_of(value: Mapping[str, Any]) -> Name:
    """Namespace and name of an object."""
    metadata = value.get("metadata") or {}
    return metadata.get("namespace") or "", metadata.get("name") or ""


def subject_of(value: Mapping[str, Any]) -> str:
    """`Kind/namespace/name`, as findings say it."""
    return "/".join((value.get("kind") or "", *name_of(value)))


def conditions_in(status: Any) -> list[Mapping[str, Any]]:
    """The conditions of a status, whatever was kept there by an earlier definition."""
    found = status.get("conditions") if isinstance(status, Mapping) else None
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def condition_of(status: Any, kind: str) -> Mapping[str, Any]:
    """A status's condition of this type, empty where there is none."""
    return next((each for each in conditions_in(status) if each.get("type") == kind), {})


def _trimmed(value: Object) -> Object:
    """Without managedFields, which are larger than most objects and nobody's business here."""
    metadata = {key: item for key, item in value["metadata"].items() if key != "managedFields"}
    return {**value, "metadata": metadata}


def _essence(value: Object) -> Object:
    rest = {key: item for key, item in value.items() if key not in {"metadata", "status"}}
    return {**rest, "metadata": {key: value["metadata"].get(key) for key in _OWN}}
