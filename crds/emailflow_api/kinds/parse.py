"""From a document (as YAML or JSON holds it) to a model, or to everything that is wrong with it.

Findings read like `kubectl`'s: a path into the document, what is there, what was expected. They show a
few characters of a value at most.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from emailflow_api.errors import ApiError, Finding, Severity
from emailflow_api.kinds.metadata import API_VERSION, Document
from emailflow_api.kinds.text import EXPECTED
from emailflow_api.structural.schema import inlined_schema

_SHOWN = 40
_TOLD = 100
"""Findings about one object, at most."""


class InvalidResource(ApiError):
    """A document that is not a resource of this API; `findings` says all that is wrong."""

    reason = "InvalidResource"

    def __init__(self, findings: Sequence[Finding]) -> None:
        first = findings[0]
        super().__init__("\n".join(map(str, findings)), path=first.path, expected=first.expected)
        self.findings = tuple(findings)


def read(document: object, kinds: Mapping[str, type[Document]]) -> Document:
    """The document as the model of its kind.

    Raises InvalidResource when the kind or apiVersion is none of ours, or when the model refuses it.
    """
    if not isinstance(document, Mapping):
        raise InvalidResource([_finding("-", "", f"is {_shown(document)}", "an object with kind and spec")])
    subject, kind = _subject(document), document.get("kind")
    if document.get("apiVersion") != API_VERSION:
        version = _shown(document["apiVersion"]) if "apiVersion" in document else "absent"
        raise InvalidResource([_finding(subject, "apiVersion", f"is {version}", API_VERSION, "UnknownKind")])
    if not isinstance(kind, str) or kind not in kinds:
        expected = f"one of {', '.join(kinds)}"
        found = _shown(kind) if "kind" in document else "absent"
        raise InvalidResource([_finding(subject, "kind", f"is {found}", expected, "UnknownKind")])
    model = kinds[kind]
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise InvalidResource([_translate(e, model, subject) for e in error.errors()[:_TOLD]]) from None


@cache
def _schema(model: type[Document]) -> dict[str, Any]:
    return inlined_schema(model)


def _finding(subject: str, path: str, message: str, expected: str = "", reason: str = "") -> Finding:
    return Finding(Severity.ERROR, reason or "InvalidValue", subject, path, message, expected)


def _subject(document: Mapping[str, Any]) -> str:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    return f"{document.get('kind', '?')}/{metadata.get('namespace', 'default')}/{metadata.get('name', '?')}"


def _translate(error: ErrorDetails, model: type[Document], subject: str) -> Finding:
    unknown = error["type"] == "extra_forbidden"
    path, siblings = _path(error["loc"], _schema(model), keep_last=unknown)
    value, context = error["input"], error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            name = str(error["loc"][-1])
            close = get_close_matches(name, siblings, n=1)
            expected = close[0] if close else f"one of {', '.join(siblings)}"
            return _finding(subject, path, "unknown field", expected, "UnknownField")
        case "missing":
            return _finding(subject, path, "required field is missing", reason="MissingField")
        case "string_pattern_mismatch":
            pattern = context["pattern"]
            return _finding(
                subject, path, f"is {_shown(value)}", EXPECTED.get(pattern, f"to match {pattern}")
            )
        case "model_type" | "dict_type" | "list_type":
            wanted = "a list" if error["type"] == "list_type" else "an object"
            return _finding(subject, path, f"is {_shown(value)}", wanted)
        case "string_type" if isinstance(value, bool | int | float):
            return _finding(subject, path, f"is {_shown(value)}, not a string", "a string; put it in quotes")
        case "value_error":
            return _finding(subject, path, str(context["error"]))
    should_be = error["msg"].removeprefix("Input should be ")
    if should_be != error["msg"]:
        return _finding(subject, path, f"is {_shown(value)}", should_be)
    return _finding(subject, path, error["msg"])


def _path(
    location: Sequence[str | int], schema: Mapping[str, Any], *, keep_last: bool
) -> tuple[str, tuple[str, ...]]:
    """A pydantic location as a path (`spec.steps[2].send.to`), and the fields known where it ends.

    Pydantic's own marks (names of union members, `[key]`) are no fields and left out.
    """
    path, node = "", schema
    siblings = tuple(node.get("properties", ()))
    for index, part in enumerate(location):
        if isinstance(part, int) and "items" in node:
            path, node = f"{path}[{part}]", node["items"]
        elif part in node.get("properties", ()):
            siblings = tuple(node["properties"])
            path, node = f"{path}.{part}", node["properties"][part]
        elif isinstance(node.get("additionalProperties"), Mapping) and part != "[key]":
            path, node = f'{path}["{part}"]', node["additionalProperties"]
        elif keep_last and index == len(location) - 1:
            siblings = tuple(node.get("properties", ()))
            path = f"{path}.{part}"
    return path.removeprefix("."), siblings


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
