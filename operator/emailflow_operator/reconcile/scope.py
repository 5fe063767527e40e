"""Which objects concern which runtime: what a change makes worth a look, and what a runtime is compiled from.

Runtimes are named by keys (namespace, name), also those that flows name and nobody has made.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from emailflow_api.allowed import NAME_LABEL, allows, not_allowed
from emailflow_api.errors import Finding
from emailflow_api.kinds.namespaces import Namespaces
from emailflow_api.reading import Document
from emailflow_operator.reconcile.cluster import Cluster, Name, Object, name_of, subject_of

RuntimeKey = Name
SHARED = ("EmailProvider", "ContactPolicy", "EventType")
"""Kinds that count only in the namespace of their runtime."""
WATCHED = ("EmailRuntime", "EmailFlow", "EmailTemplate", *SHARED)
CHILD_OF = "emailflow.dev/runtime"
"""Label of everything that is made for an EmailRuntime of the same namespace."""


def runtime_of(flow: Mapping[str, Any]) -> RuntimeKey:
    """The runtime that a raw EmailFlow means: its `runtimeRef`, else `default` in its own namespace."""
    namespace = name_of(flow)[0]
    spec = flow.get("spec")
    reference = spec.get("runtimeRef") if isinstance(spec, Mapping) else None
    if not isinstance(reference, Mapping):
        return namespace, "default"
    # The API server checks what it is given, not what it has kept from earlier definitions.
    said = {key: item for key, item in reference.items() if item and isinstance(item, str)}
    return said.get("namespace", namespace), said.get("name", "default")


def runtimes_in(cluster: Cluster, namespace: str) -> list[RuntimeKey]:
    """The runtimes of a namespace, else the one that its objects would belong to."""
    found = [name_of(each) for each in cluster.of("EmailRuntime", namespace)]
    return found or [(namespace, "default")]


def runtimes_meant_in(cluster: Cluster, namespace: str) -> set[RuntimeKey]:
    """The runtimes that the flows of a namespace mean, also those that don't let them in."""
    return {runtime_of(flow) for flow in cluster.of("EmailFlow", namespace)}


def runtimes_used_in(cluster: Cluster, namespace: str) -> list[RuntimeKey]:
    """The runtimes that the flows of a namespace mean and that let it in, in order; its own where there is
    no such flow."""
    used = {key for key in runtimes_meant_in(cluster, namespace) if lets_in(cluster, key, namespace)}
    return sorted(used) or runtimes_in(cluster, namespace)


def lets_in(cluster: Cluster, key: RuntimeKey, namespace: str) -> bool:
    """Whether a runtime's `allowedNamespaces` lets a namespace in: what doesn't come in is never compiled for
    the runtime. One that is not there, or not readable, lets nobody but its own namespace in."""
    if namespace == key[0]:
        return True
    spec = (cluster.get("EmailRuntime", *key) or {}).get("spec")
    said = spec.get("allowedNamespaces") if isinstance(spec, Mapping) else None
    try:
        allowed = Namespaces.model_validate({} if said is None else said)
    except ValidationError:
        return False
    return allows(allowed, _labels(cluster, namespace))


def concerned(cluster: Cluster, value: Object) -> set[RuntimeKey]:
    """The runtimes that a change of this object may matter to."""
    kind, (namespace, name) = value.get("kind"), name_of(value)
    if kind == "EmailRuntime":
        # Templates of namespaces that it lets in, or not any more, may change their home.
        guests = {
            name_of(each)[0] for each in cluster.of("EmailFlow") if runtime_of(each) == (namespace, name)
        }
        homes = {key for guest in guests for key in runtimes_in(cluster, guest)}
        return {(namespace, name), *homes}
    if kind == "EmailFlow":
        return {runtime_of(value)}
    if kind == "EmailTemplate":
        return {*runtimes_used_in(cluster, namespace), *runtimes_in(cluster, namespace)}
    if kind in SHARED:
        return set(runtimes_in(cluster, namespace))
    if kind == "Namespace":
        return {*runtimes_meant_in(cluster, name), *runtimes_used_in(cluster, name)}
    owner = (value["metadata"].get("labels") or {}).get(CHILD_OF)
    return {(namespace, owner)} if owner else set()


def at_home(cluster: Cluster, key: RuntimeKey) -> Iterator[Object]:
    """The objects whose status the worker of this runtime writes: each has one home, so that two workers
    never disagree about it."""
    if (runtime := cluster.get("EmailRuntime", *key)) is not None:
        yield runtime
    yield from (flow for flow in cluster.of("EmailFlow") if runtime_of(flow) == key)
    for namespace in cluster.namespaces("EmailTemplate"):
        if runtimes_used_in(cluster, namespace)[0] == key:
            yield from cluster.of("EmailTemplate", namespace)
    if runtimes_in(cluster, key[0])[0] == key:
        for kind in SHARED:
            yield from cluster.of(kind, key[0])


class Sources(NamedTuple):
    """What a runtime is compiled from. While `version` stands, compiling again gives the same."""

    documents: list[Document]
    strangers: dict[str, Finding]
    """Subjects of flows that mean the runtime and may not come in."""
    version: tuple[tuple[str, object], ...]


def flows_for(cluster: Cluster, key: RuntimeKey) -> tuple[list[Object], list[Object]]:
    """The flows that mean a runtime: those that it lets in, and the others. One that isn't there can't tell
    any away: each hears that there is no such runtime."""
    there = cluster.get("EmailRuntime", *key) is not None
    meant: dict[str, list[Object]] = {}
    for flow in cluster.of("EmailFlow"):
        if runtime_of(flow) == key:
            meant.setdefault(name_of(flow)[0], []).append(flow)
    own: list[Object] = []
    strangers: list[Object] = []
    for namespace, flows in meant.items():
        (own if not there or lets_in(cluster, key, namespace) else strangers).extend(flows)
    return own, strangers


def objects_for(cluster: Cluster, key: RuntimeKey) -> list[Object]:
    """What the plans of a runtime are compiled from, ConfigMaps left out."""
    flows, _ = flows_for(cluster, key)
    namespaces = sorted({key[0], *(name_of(flow)[0] for flow in flows)})
    found = [*flows]
    if (runtime := cluster.get("EmailRuntime", *key)) is not None:
        found.insert(0, runtime)
    for kind in SHARED:
        found += cluster.of(kind, key[0])
    for namespace in namespaces:
        found += cluster.of("EmailTemplate", namespace)
    return found


def sources_for(cluster: Cluster, key: RuntimeKey, config_maps: Mapping[Name, Object | None]) -> Sources:
    """The same as documents, with the labels of all namespaces, and the ConfigMaps that are there."""
    objects, (_, strangers) = objects_for(cluster, key), flows_for(cluster, key)
    known = {name_of(each)[1] for each in cluster.of("Namespace")}
    spaces = [_namespace(cluster, each) for each in sorted(known | {name_of(each)[0] for each in objects})]
    held = {name: each for name, each in config_maps.items() if each}
    values = [
        *objects,
        *map(_stub, strangers),
        *spaces,
        *({**each, "apiVersion": "v1", "kind": "ConfigMap"} for each in held.values()),
    ]
    version: list[tuple[str, object]] = [
        (subject_of(each), cluster.version(each["kind"], *name_of(each))) for each in objects
    ]
    version += [(subject_of(each), "stranger") for each in strangers]
    version += [(each["metadata"]["name"], each["metadata"]["labels"]) for each in spaces]
    version += [("/".join(name), each["metadata"].get("resourceVersion")) for name, each in held.items()]
    refused = {subject_of(each): not_allowed(subject_of(each), key, name_of(each)[0]) for each in strangers}
    return Sources([Document(each, "cluster", 0) for each in values], refused, tuple(version))


def _stub(value: Object) -> Object:
    """As much as tells that the object is there."""
    namespace, name = name_of(value)
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": value.get("apiVersion"), "kind": value.get("kind"), "metadata": metadata}


def _namespace(cluster: Cluster, name: str) -> Object:
    """The Namespace, or what can be said of one whose labels can't be read."""
    metadata = {"name": name, "labels": _labels(cluster, name)}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _labels(cluster: Cluster, namespace: str) -> Mapping[str, str]:
    known = (cluster.get("Namespace", "", namespace) or {}).get("metadata", {}).get("labels")
    return {**(known or {}), NAME_LABEL: namespace}


def config_maps_for(cluster: Cluster, key: RuntimeKey) -> set[Name]:
    """The ConfigMaps that flows and templates of a runtime name: bodies and attachments."""
    wanted: set[Name] = set()
    for each in objects_for(cluster, key):
        if each.get("kind") in {"EmailFlow", "EmailTemplate"}:
            namespace = name_of(each)[0]
            wanted |= {(namespace, name) for name in _config_map_names(each.get("spec"))}
    return wanted


def _config_map_names(value: Any) -> Iterator[str]:
    """Every name in a `configMapKeyRef`, wherever it stands."""
    if isinstance(value, Mapping):
        reference = value.get("configMapKeyRef")
        if isinstance(reference, Mapping) and isinstance(reference.get("name"), str):
            yield reference["name"]
        for item in value.values():
            yield from _config_map_names(item)
    elif isinstance(value, list):
        for item in value:
            yield from _config_map_names(item)
