"""Reading one JSON Schema: the types and values that it allows, where its local references lead, its bounds.

It tolerates schemas that are none (whoever wrote them is told by `event_types`), and compares nothing but
bounds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

JSON_TYPES = frozenset(("null", "boolean", "object", "array", "number", "string"))
Schema = Mapping[str, Any]

_LOWER = {"minLength": "string", "minItems": "array", "minProperties": "object", "minimum": "number"}
_UPPER = {"maxLength": "string", "maxItems": "array", "maxProperties": "object", "maximum": "number"}
_FIXED = {"pattern": "string", "format": "string", "multipleOf": "number", "uniqueItems": "array"}
_EXCLUSIVE = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}


def canonical(value: Any) -> str:
    """A JSON value as text that only equal values share (1 and true are not, to JSON)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def reference(schema: Any) -> str:
    """What `$ref` says, else nothing."""
    found = schema.get("$ref") if isinstance(schema, Mapping) else None
    return found if isinstance(found, str) else ""


def resolve(schema: Any, root: Any) -> Schema | None:
    """The schema as an object, its `$ref` followed within `root`; None when that isn't alone or leads
    elsewhere. (`false` is the schema that allows no value.)"""
    for _ in range(16):
        if isinstance(schema, bool):
            return {} if schema else {"enum": []}
        if not isinstance(schema, Mapping):
            return {}
        if not (found := reference(schema)):
            return schema
        if not found.startswith("#") or schema.keys() - {"$ref", "$defs", "description", "title", "$comment"}:
            return None
        schema = _pointed(root, found[1:])
    return None


def _pointed(root: Any, pointer: str) -> Any:
    """What a JSON Pointer (RFC 6901) leads to; a schema of any data when to nothing."""
    found = root
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def values(schema: Schema) -> list[Any] | None:
    """The only values that it allows, if it lists them."""
    if "const" in schema:
        return [schema["const"]]
    listed = schema.get("enum")
    return listed if isinstance(listed, list) else None


def types(schema: Schema) -> frozenset[str]:
    """JSON's types that it allows; integers are numbers."""
    if (listed := values(schema)) is not None:
        return frozenset(_type_of(value) for value in listed)
    return frozenset("number" if name == "integer" else name for name in _declared(schema)) or JSON_TYPES


def only_integers(schema: Schema) -> bool:
    """Whether every number that it allows is an integer."""
    if (listed := values(schema)) is not None:
        return not any(isinstance(value, float) for value in listed)
    return "integer" in _declared(schema) and "number" not in _declared(schema)


def properties(schema: Schema) -> dict[str, Any]:
    """The fields that it describes."""
    found = schema.get("properties")
    return dict(found) if isinstance(found, Mapping) else {}


def required(schema: Schema) -> list[str]:
    """The fields that have to be there."""
    found = schema.get("required")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def tightened(wide: Schema, narrow: Schema, possible: frozenset[str]) -> Iterator[tuple[str, str]]:
    """The bounds of `narrow` that values within `wide` (of these types) may be outside of: keyword and
    what would be in order."""
    for keyword, of in (_LOWER | _UPPER).items():
        bound, before = _bound(narrow, keyword), _bound(wide, keyword)
        sign = 1 if keyword in _LOWER else -1
        if of not in possible or bound is None or (keyword in _LOWER and of != "number" and bound[0] <= 0):
            continue
        if before is None:
            yield keyword, "no bound, as before"
        elif (sign * before[0], before[1]) < (sign * bound[0], bound[1]):
            yield keyword, f"at {'most' if sign > 0 else 'least'} {before[0]:g}, as before"
    for keyword, of in _FIXED.items():
        now, then = narrow.get(keyword), wide.get(keyword)
        if of not in possible or now is None or now is False or canonical(now) == canonical(then):
            continue
        if keyword == "multipleOf" and _divides(now, then):
            continue
        yield keyword, "what was there before"


def _bound(schema: Schema, keyword: str) -> tuple[float, bool] | None:
    """A bound and whether it excludes itself."""
    found = []
    for name, exclusive in ((keyword, False), (_EXCLUSIVE.get(keyword, ""), True)):
        value = schema.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((value, exclusive))
    sign = 1 if keyword in _LOWER else -1
    return max(found, key=lambda each: (sign * each[0], each[1]), default=None)


def _divides(step: Any, of: Any) -> bool:
    return isinstance(step, int) and isinstance(of, int) and step > 0 and of % step == 0


def _declared(schema: Schema) -> list[str]:
    declared = schema.get("type")
    names = [declared] if isinstance(declared, str) else declared
    return [name for name in names if isinstance(name, str)] if isinstance(names, Sequence) else []


def _type_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
    return "array" if isinstance(value, list) else "object"
