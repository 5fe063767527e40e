"""A document as it stands in a file, before anybody asks whether it is a valid resource."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Document(NamedTuple):
    """One object of a file: plain JSON values, and where it begins: `source` is the name of the text
    (a file's, mostly), `line` counts from 1."""

    value: dict[str, Any]
    source: str
    line: int

    @property
    def api_version(self) -> str:
        """`apiVersion`, empty where there is none."""
        return _text(self.value, "apiVersion")

    @property
    def kind(self) -> str:
        """`kind`, empty where there is none."""
        return _text(self.value, "kind")

    @property
    def name(self) -> str:
        """`metadata.name`, empty where there is none."""
        return _text(self._metadata, "name")

    @property
    def namespace(self) -> str:
        """`metadata.namespace`; `default` where there is none."""
        return _text(self._metadata, "namespace") or "default"

    @property
    def subject(self) -> str:
        """`Kind/namespace/name`, as findings say it."""
        return f"{self.kind or '?'}/{self.namespace}/{self.name or '?'}"

    @property
    def position(self) -> str:
        """`source:line`, for messages."""
        return f"{self.source}:{self.line}"

    @property
    def _metadata(self) -> Mapping[str, Any]:
        metadata = self.value.get("metadata")
        return metadata if isinstance(metadata, Mapping) else {}


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""
