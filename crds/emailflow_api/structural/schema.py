"""A model's schema without references, in the words that structural schemas and JSON Schema share.

Pydantic writes `$defs`, titles, `anyOf` with null and a default for each optional field; Kubernetes
refuses the first three. Nothing here knows a kind: what a model says is only rewritten.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

Schema = dict[str, Any]

_NULL: Schema = {"type": "null"}
_NESTED = ("items", "additionalProperties")


def inlined_schema(model: type[BaseModel], mode: JsonSchemaMode = "validation") -> Schema:
    """The model's JSON Schema: references inlined, no titles, no null, descriptions on one line.

    A text's own words (`x-expected`, see kinds.text) end up in its description. Defaults remain where they
    are values a reader can use; empty lists and objects are dropped.
    """
    schema = model.model_json_schema(by_alias=True, mode=mode, schema_generator=GenerateJsonSchema)
    return _inline(schema, schema.get("$defs", {}))


def _inline(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Rewrite one node; what stands beside a reference (a field's description) overrides its target."""
    node = {name: value for name, value in schema.items() if name not in {"title", "$defs"}}
    node = _without_null(node)
    if reference := node.pop("$ref", None):
        node = _inline(definitions[reference.removeprefix("#/$defs/")], definitions) | node
    expected = node.pop("x-expected", None)
    words = [node.get("description", ""), f"Format: {expected}." if expected else ""]
    if description := " ".join(" ".join(words).split()):
        node["description"] = description
    if node.get("default") in (None, [], {}):
        node.pop("default", None)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if "properties" in node:
        node["properties"] = {name: _inline(child, definitions) for name, child in node["properties"].items()}
    for name in _NESTED:
        if isinstance(node.get(name), Mapping):
            node[name] = _inline(node[name], definitions)
    return node


def _without_null(node: Schema) -> Schema:
    """`anyOf: [X, null]` as X; no field of the API is nullable."""
    choices = node.get("anyOf", ())
    if _NULL not in choices:
        return node
    [choice] = [choice for choice in choices if choice != _NULL]
    return {**choice, **{name: value for name, value in node.items() if name != "anyOf"}}
