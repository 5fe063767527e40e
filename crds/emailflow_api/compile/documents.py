"""Sorting documents: models of our kinds, Secrets and ConfigMaps by name, labels of namespaces."""

from collections.abc import Iterable
from typing import Any

import msgspec

from emailflow_api.errors import ApiError, Finding, Severity
from emailflow_api.kinds import (
    GROUP,
    ContactPolicy,
    EmailFlow,
    EmailProvider,
    EmailRuntime,
    EmailTemplate,
    EventType,
    InvalidResource,
    parse,
)
from emailflow_api.kinds.metadata import Resource
from emailflow_api.reading import Document, decoded_data

Held = dict[tuple[str, str], dict[str, bytes]]
"""By (namespace, name), then by key."""


class Sorted(msgspec.Struct):
    """What a set of documents holds."""

    resources: list[Resource] = []
    secrets: Held = {}
    config_maps: Held = {}
    namespaces: dict[str, dict[str, str]] = {}
    findings: list[Finding] = []

    def of(self, kind: type[Any]) -> list[Any]:
        """The resources of one kind."""
        return [each for each in self.resources if isinstance(each, kind)]


OURS = (EmailFlow, EmailTemplate, EmailProvider, EventType, ContactPolicy, EmailRuntime)


def sort_documents(documents: Iterable[Document]) -> Sorted:
    """Every document in its place; kinds of others are passed by."""
    found = Sorted()
    seen: set[str] = set()
    for document in documents:
        if document.api_version.startswith(f"{GROUP}/"):
            _take_resource(document, found, seen)
        elif document.api_version == "v1":
            _take_core(document, found)
    return found


def _take_resource(document: Document, found: Sorted, seen: set[str]) -> None:
    try:
        resource = parse(document.value)
    except InvalidResource as invalid:
        found.findings += invalid.findings
        return
    if not isinstance(resource, OURS):
        return
    if document.subject in seen:
        found.findings.append(
            Finding(
                Severity.ERROR,
                "DuplicateObject",
                document.subject,
                "",
                "is declared twice",
                f"one declaration (another one is at {document.position})",
            )
        )
        return
    seen.add(document.subject)
    found.resources.append(resource)


def _take_core(document: Document, found: Sorted) -> None:
    if document.kind == "Namespace":
        metadata = document.value.get("metadata")
        labels = metadata.get("labels") if isinstance(metadata, dict) else None
        found.namespaces[document.name] = dict(labels) if isinstance(labels, dict) else {}
        return
    held = {"ConfigMap": found.config_maps, "Secret": found.secrets}.get(document.kind)
    if held is None:
        return
    try:
        held[document.namespace, document.name] = decoded_data(document.value)
    except ApiError as invalid:
        message = str(invalid).partition(": ")[2]
        found.findings.append(
            Finding(Severity.ERROR, invalid.reason, document.subject, invalid.path, message, invalid.expected)
        )
