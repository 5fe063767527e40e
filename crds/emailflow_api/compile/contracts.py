"""What the EventTypes' schemas say about the paths that expressions use.

A path is doubted only where no contract can have it: every type in question has a schema, and each lists
its fields at the level concerned and does not declare that others may come. (A schema that only lists
`properties` lets others pass in JSON Schema's own terms; who lists them means them, and a wrong letter is
the likelier case, so that is a warning.) Whatever a schema says by reference or combination is not read.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"""[rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3})"""
    r"""|[rRbB]{0,2}(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|//[^\n]*"""
    r"""|(?<![\w.])(event|trigger)\s*\.\s*data((?:\s*\.\s*[A-Za-z_]\w*(?!\w)(?!\s*\()|\s*\[\s*'[^'\\]*'\s*\])+)""",
    re.DOTALL,
)
_FIELD = re.compile(r"\.\s*(\w+)|\[\s*'([^']*)'\s*\]")
_OPEN = frozenset(
    ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas")
)
"""Keywords by which more fields may be described elsewhere."""


class UnknownPath(NamedTuple):
    """A path that no contract has: as it is written, and what stands there instead."""

    path: str
    known: str


def unknown_paths(
    text: str, types: Mapping[str, Sequence[str]], schemas: Mapping[str, Any]
) -> Iterator[UnknownPath]:
    """The doubtful paths of a CEL expression. `types` are those that `event` and `trigger` may have,
    `schemas` the contracts by type."""
    for variable, path in _paths(text):
        possible = types.get(variable, ())
        if not possible or any(name not in schemas for name in possible):
            continue
        verdicts = [_missing(schemas[name], path) for name in possible]
        if all(verdict is not None for verdict in verdicts):
            depth, known = next(verdict for verdict in verdicts if verdict is not None)
            close = get_close_matches(path[depth], known, n=1)
            hint = close[0] if close else f"one of {', '.join(sorted(known))}"
            yield UnknownPath(".".join((variable, "data", *path[: depth + 1])), hint)


def _paths(text: str) -> Iterator[tuple[str, list[str]]]:
    for token in _TOKEN.finditer(text):
        if token[1]:
            yield token[1], [dotted or quoted for dotted, quoted in _FIELD.findall(token[2])]


def _missing(schema: Any, path: Sequence[str]) -> tuple[int, list[str]] | None:
    """Where the path leaves the schema, and the fields that it has there; None when it may be there."""
    for depth, name in enumerate(path):
        if not isinstance(schema, Mapping) or _OPEN & schema.keys():
            return None
        fields = schema.get("properties")
        if not isinstance(fields, Mapping) or not fields:
            return None
        if name not in fields:
            return (depth, list(fields)) if schema.get("additionalProperties", False) is False else None
        schema = fields[name]
    return None
