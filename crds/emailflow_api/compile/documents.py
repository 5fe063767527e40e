"""Sorting documents: models of our kinds, Secrets and ConfigMaps by name, labels of namespaces."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from emailflow_api.allowed import NAME_LABEL
from emailflow_api.compile.report import Report
from emailflow_api.errors import Finding
from emailflow_api.kinds import GROUP, KINDS, RESOURCES, InvalidResource, Resource, parse
from emailflow_api.kinds.text import OBJECT_NAME
from emailflow_api.reading import Document, InvalidValue, decoded_data

Held = dict[tuple[str, str], dict[str, bytes]]
"""By (namespace, name), then by key."""
NOTHING_GIVEN_UP: Mapping[str, Finding] = MappingProxyType({})


class Contract(NamedTuple):
    """What an EventType says it is for, sound or not; `created` is empty in files."""

    name: str
    type: str
    created: str


class Sorted(msgspec.Struct):
    """What a set of documents holds."""

    resources: list[Resource] = []
    declared: dict[str, str] = {}
    """Position of each document of our kinds by subject, also of those that are no valid resource."""
    contracts: dict[str, list[Contract]] = {}
    """By namespace, in the order of the documents."""
    secrets: Held = {}
    config_maps: Held = {}
    namespaces: dict[str, dict[str, str]] = {}
    """Labels by namespace; one that no document describes has its name for a label, and no other."""
    findings: list[Finding] = []

    def of(self, kind: type[Any]) -> list[Any]:
        """The resources of one kind."""
        return [each for each in self.resources if isinstance(each, kind)]

    def broken(self, kind: type[Resource]) -> list[tuple[str, str]]:
        """Namespace and name of those of one kind that are declared, but not valid."""
        sound = {f"{kind.__name__}/{each.namespace}/{each.name}" for each in self.of(kind)}
        names = [subject.split("/") for subject in self.declared if subject not in sound]
        return [(namespace, name) for found, namespace, name in names if found == kind.__name__]


def sort_documents(
    documents: Iterable[Document],
    given_up: Mapping[str, Finding] = NOTHING_GIVEN_UP,
    begin: Callable[[str], None] = lambda _: None,
) -> Sorted:
    """Every document in its place; kinds of others are passed by. Never raises.

    What is in `given_up` is not read: its finding says why. `begin` is told each subject before its turn.
    """
    found = Sorted()
    for document in documents:
        begin(document.subject)
        report = Report(document.subject)
        report.shielded(partial(_take, document, found, given_up))
        found.findings += report.findings
    return found


def _take(document: Document, found: Sorted, given_up: Mapping[str, Finding]) -> None:
    forgotten = not document.api_version and document.kind in KINDS
    if document.api_version.startswith(f"{GROUP}/") or forgotten:
        _take_resource(document, found, given_up)
    elif document.api_version == "v1":
        _take_core(document, found)


def _take_resource(document: Document, found: Sorted, given_up: Mapping[str, Finding]) -> None:
    report = Report(document.subject)
    if (first := found.declared.get(document.subject)) is not None:
        message = f"is declared twice, at {first} and at {document.position}"
        report.error("DuplicateObject", "metadata.name", message, "one declaration")
        found.findings += report.findings
        return
    if document.kind in RESOURCES and _is_named(document):
        found.declared[document.subject] = document.position
        if document.kind == "EventType" and isinstance(type_ := _member(document, "spec").get("type"), str):
            created = str(_member(document, "metadata").get("creationTimestamp") or "")
            found.contracts.setdefault(document.namespace, []).append(Contract(document.name, type_, created))
    if (finding := given_up.get(document.subject)) is not None:
        found.findings.append(finding)
        return
    try:
        resource = parse(document.value)
    except InvalidResource as invalid:
        found.findings += invalid.findings
    else:
        if isinstance(resource, Resource):
            found.resources.append(resource)
            found.namespaces.setdefault(resource.namespace, {NAME_LABEL: resource.namespace})


def _is_named(document: Document) -> bool:
    return all(re.fullmatch(OBJECT_NAME, name) for name in (document.namespace, document.name))


def _take_core(document: Document, found: Sorted) -> None:
    if document.kind == "Namespace":
        found.namespaces[document.name] = {**_labels(document), NAME_LABEL: document.name}
        return
    held = {"ConfigMap": found.config_maps, "Secret": found.secrets}.get(document.kind)
    if held is None:
        return
    try:
        held[document.namespace, document.name] = decoded_data(document.value)
    except InvalidValue as invalid:
        report = Report(document.subject)
        report.error(invalid.reason, invalid.path, str(invalid).partition(": ")[2], invalid.expected)
        found.findings += report.findings


def _member(document: Document, name: str) -> Mapping[str, Any]:
    member = document.value.get(name)
    return member if isinstance(member, Mapping) else {}


def _labels(document: Document) -> dict[str, str]:
    labels = _member(document, "metadata").get("labels")
    if not isinstance(labels, Mapping):
        return {}
    return {name: value for name, value in labels.items() if isinstance(value, str)}
