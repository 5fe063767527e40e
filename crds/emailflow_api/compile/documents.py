"""Sorting documents: models of our kinds, Secrets and ConfigMaps by name, labels of namespaces."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from emailflow_api.errors import Finding, Severity
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
from emailflow_api.reading import Document

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
    name = (document.namespace, document.name)
    value = document.value
    if document.kind == "Namespace":
        found.namespaces[document.name] = dict((value.get("metadata") or {}).get("labels") or {})
    elif document.kind == "ConfigMap":
        found.config_maps[name] = {**_texts(value, "data"), **_binary(document, "binaryData", found)}
    elif document.kind == "Secret":
        found.secrets[name] = {**_binary(document, "data", found), **_texts(value, "stringData")}


def _texts(value: Mapping[str, Any], member: str) -> dict[str, bytes]:
    return {key: str(text).encode() for key, text in (value.get(member) or {}).items()}


def _binary(document: Document, member: str, found: Sorted) -> dict[str, bytes]:
    decoded = {}
    for key, text in (document.value.get(member) or {}).items():
        try:
            decoded[key] = base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError):
            found.findings.append(
                Finding(
                    Severity.ERROR,
                    "InvalidValue",
                    document.subject,
                    f"{member}.{key}",
                    "is not base64",
                    "base64",
                )
            )
    return decoded
