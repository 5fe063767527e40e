"""Which other objects matter to one: those that it can refer to, and no more, so that a warning doesn't cost
a compilation of the whole cluster.

It reads raw objects, broken ones too, and judges nothing.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from emailflow_api.reading import Document
from emailflow_operator.admission.lister import Lister

SHARED = ("EmailProvider", "ContactPolicy")
"""Kinds of the runtime's namespace of which there are few."""
_CONTENT = "{% block content %}{% endblock %}"
Key = tuple[str, str]
"""Namespace and name."""


def runtime_key(document: Document) -> Key:
    """The runtime that an object means: its `runtimeRef`, else `default` in its own namespace."""
    if document.kind == "EmailRuntime":
        return document.namespace, document.name
    reference = _member(document.value, "spec", "runtimeRef")
    name, namespace = reference.get("name"), reference.get("namespace")
    return (
        namespace if isinstance(namespace, str) else document.namespace,
        name if isinstance(name, str) else "default",
    )


class Neighbours:
    """The neighbours of objects, as a lister knows them."""

    def __init__(self, lister: Lister) -> None:
        self._lister = lister

    def runtime_for(self, document: Document) -> Key:
        """The runtime to compile for. What isn't a flow names none: any one in its namespace will do."""
        key = runtime_key(document)
        if document.kind in ("EmailFlow", "EmailRuntime") or self._lister.get("EmailRuntime", *key):
            return key
        here = self._lister.of("EmailRuntime", document.namespace)
        return min(((document.namespace, _name(each)) for each in here), default=key)

    def of(self, document: Document) -> list[Document]:
        """What the object may refer to."""
        own = (document.kind, document.namespace, document.name)
        found = {_key(each): each for each in self._around(document) if _key(each) != own}
        values = [*found.values(), *_assumed([document.value, *found.values()])]
        return [Document(dict(each), "cluster", 1) for each in values]

    def _around(self, document: Document) -> Iterator[Mapping[str, Any]]:
        namespace, name = self.runtime_for(document)
        yield from self._known("EmailRuntime", [(namespace, name)])
        for kind in SHARED:
            yield from self._lister.of(kind, namespace)
        types = set(_types(document.value))
        for contract in self._lister.of("EventType", namespace):
            if _member(contract, "spec").get("type") in types:
                yield contract
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": document.namespace}}
        yield self._lister.get("Namespace", "", document.namespace) or space
        templates = [
            each
            for wanted in _named(document.value, "templateRef", "layoutRef")
            for each in self._known("EmailTemplate", [(document.namespace, wanted), (namespace, wanted)])
        ]
        yield from templates
        for template in templates:
            own = _namespace(template)
            for layout in _named(template, "layoutRef"):
                yield from self._known("EmailTemplate", [(own, layout), (namespace, layout)])

    def _known(self, kind: str, keys: Iterable[Key]) -> Iterator[Mapping[str, Any]]:
        for key in keys:
            if (found := self._lister.get(kind, *key)) is not None:
                yield found


def _assumed(values: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The ConfigMaps that these name, as if they were there: nobody knows them without asking, and an apply
    should not wait for that. The content passes for a body, a layout and a file."""
    keys: dict[Key, dict[str, str]] = {}
    for value in values:
        for place in _mappings(value):
            reference = _member(place, "configMapKeyRef")
            name, key = reference.get("name"), reference.get("key")
            if isinstance(name, str) and isinstance(key, str):
                keys.setdefault((_namespace(value), name), {})[key] = _CONTENT
    for (namespace, name), data in keys.items():
        metadata = {"name": name, "namespace": namespace}
        yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _named(value: object, *members: str) -> Iterator[str]:
    """The `name` in every member of one of these names, however deep."""
    for place in _mappings(value):
        for member in members:
            if isinstance(name := _member(place, member).get("name"), str):
                yield name


def _types(value: Mapping[str, Any]) -> Iterator[str]:
    """The CloudEvents types that an object is about."""
    spec = _member(value, "spec")
    found: list[object] = [spec.get("type")]
    for place in _mappings(spec):
        listed = place.get("types")
        found += listed if isinstance(listed, list) else []
        found.append(_member(place, "emit").get("type"))
    return (each for each in found if isinstance(each, str))


def _mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """Every object in the value, however deep."""
    if isinstance(value, Mapping):
        yield value
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _mappings(inner)


def _member(value: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for part in path:
        found = value.get(part)
        value = found if isinstance(found, Mapping) else {}
    return value


def _namespace(value: Mapping[str, Any]) -> str:
    return str(_member(value, "metadata").get("namespace") or "default")


def _name(value: Mapping[str, Any]) -> str:
    return str(_member(value, "metadata").get("name", ""))


def _key(value: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(value.get("kind", "")), _namespace(value), _name(value)
