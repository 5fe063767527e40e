"""Which objects concern which runtime: what a change makes worth a look, and what a runtime is compiled from.

Runtimes are named by keys (namespace, name), also those that flows name and nobody has made.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from emailflow_api.compile.documents import NAME_LABEL
from emailflow_api.reading import Document
from emailflow_operator.reconcile.cluster import Cluster, Name, Object, name_of

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


def runtimes_used_in(cluster: Cluster, namespace: str) -> list[RuntimeKey]:
    """The runtimes that the flows of a namespace mean, in order; its own where there is no flow."""
    used = {runtime_of(flow) for flow in cluster.of("EmailFlow", namespace)}
    return sorted(used) or runtimes_in(cluster, namespace)


def concerned(cluster: Cluster, value: Object) -> set[RuntimeKey]:
    """The runtimes that a change of this object may matter to."""
    kind, (namespace, name) = value.get("kind"), name_of(value)
    if kind == "EmailRuntime":
        return {(namespace, name)}
    if kind == "EmailFlow":
        return {runtime_of(value)}
    if kind == "EmailTemplate":
        return {*runtimes_used_in(cluster, namespace), *runtimes_in(cluster, namespace)}
    if kind in SHARED:
        return set(runtimes_in(cluster, namespace))
    if kind == "Namespace":
        return set(runtimes_used_in(cluster, name))
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


def objects_for(cluster: Cluster, key: RuntimeKey) -> list[Object]:
    """What the plans of a runtime are compiled from, ConfigMaps left out."""
    flows = [flow for flow in cluster.of("EmailFlow") if runtime_of(flow) == key]
    namespaces = sorted({key[0], *(name_of(flow)[0] for flow in flows)})
    found = [*flows]
    if (runtime := cluster.get("EmailRuntime", *key)) is not None:
        found.insert(0, runtime)
    for kind in SHARED:
        found += cluster.of(kind, key[0])
    for namespace in namespaces:
        found += cluster.of("EmailTemplate", namespace)
    return found


def documents_for(
    cluster: Cluster, key: RuntimeKey, config_maps: Mapping[Name, Object | None]
) -> list[Document]:
    """The same as documents, with the namespaces' labels, and the ConfigMaps that are there."""
    objects = objects_for(cluster, key)
    spaces = sorted({name_of(each)[0] for each in objects})
    labelled = [_namespace(cluster, space) for space in spaces]
    held = [{**each, "apiVersion": "v1", "kind": "ConfigMap"} for each in config_maps.values() if each]
    return [Document(each, "cluster", 0) for each in (*objects, *labelled, *held)]


def _namespace(cluster: Cluster, name: str) -> Object:
    """The Namespace, or what can be said of one whose labels can't be read."""
    known = cluster.get("Namespace", "", name)
    labels = (known or {}).get("metadata", {}).get("labels") or {NAME_LABEL: name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


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
