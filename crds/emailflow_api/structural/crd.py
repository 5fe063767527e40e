"""CustomResourceDefinitions from the models: structural schemas (KEP-1001) and what `kubectl` shows.

What Kubernetes can't say is left out, never bent: pruning stands for `additionalProperties: false`, and a
default below a list, which would be drift for ever, becomes a sentence of the description.
"""

from collections.abc import Mapping
from typing import Any

from emailflow_api.kinds.metadata import GROUP, VERSION, Column, Resource
from emailflow_api.kinds.rule import Rule
from emailflow_api.kinds.text import DURATION, EXPECTED, TIME_OF_DAY
from emailflow_api.structural.schema import Schema, inlined_schema

CATEGORY = "emailflow-all"
"""Of all kinds. kubectl takes a category's name before a kind's singular, so `emailflow` can't be it."""
SPOKEN = frozenset({DURATION, TIME_OF_DAY})
"""Patterns that the API server judges by a rule, whose message has words; it would show the expression."""
NAME_IS_A_LABEL = Rule(
    cel="!self.metadata.name.contains('.') && self.metadata.name.size() <= 63",
    message="metadata.name must be a DNS label: no dots, at most 63 characters",
    holds=None,
)
"""Names become parts of stream and consumer names. (The models check it by the pattern of the name.)"""


def custom_resource_definition(kind: type[Resource]) -> dict[str, Any]:
    """The kind as an apiextensions.k8s.io/v1 CustomResourceDefinition."""
    definition, name = kind.definition, kind.__name__
    subresources: dict[str, Any] = {"status": {}}
    if definition.scale:
        subresources["scale"] = dict(definition.scale)
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _root(kind)},
        "subresources": subresources,
        "additionalPrinterColumns": [_printer_column(column) for column in definition.columns],
    }
    names = {
        "kind": name,
        "listKind": f"{name}List",
        "plural": definition.plural,
        "singular": name.lower(),
        "shortNames": [definition.short],
        "categories": [CATEGORY],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def _printer_column(column: Column) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.json_path}
    return shown | ({"priority": column.priority} if column.priority else {})


def _root(kind: type[Resource]) -> Schema:
    """The schema of a whole object; apiVersion, kind and metadata are the API server's own."""
    schema = inlined_schema(kind)
    properties = schema["properties"]
    return {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": properties["apiVersion"]["description"]},
            "kind": {"type": "string", "description": properties["kind"]["description"]},
            "metadata": {"type": "object"},
            "spec": _structural(properties["spec"], below_list=False),
            "status": _structural(properties["status"], below_list=False),
        },
        "x-kubernetes-validations": [NAME_IS_A_LABEL.as_validation()],
    }


def _structural(schema: Mapping[str, Any], *, below_list: bool) -> Schema:
    """One node and what lies below it, as a structural schema."""
    node = dict(schema)
    if node.get("additionalProperties") is False:
        del node["additionalProperties"]
    _speak(node)
    if "exclusiveMinimum" in node:
        node |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    if "default" in node and (below_list or isinstance(node["default"], list)):
        default = node.pop("default")
        if not isinstance(default, list):
            node["description"] += f" Absent: {default}."
    if "items" in node:
        node["items"] = _structural(node["items"], below_list=True)
        node.setdefault("x-kubernetes-list-type", "atomic")
    if "additionalProperties" in node:
        node["additionalProperties"] = _structural(node["additionalProperties"], below_list=below_list)
    if "properties" in node:
        node["properties"] = {
            name: _structural(child, below_list=below_list) for name, child in node["properties"].items()
        }
    return _in_reading_order(node)


def _speak(node: Schema) -> None:
    """Turn what the API server would refuse in words of its own into rules, whose messages are ours."""
    rules: list[Rule] = []
    if (pattern := node.get("pattern")) in SPOKEN:
        del node["pattern"]
        rules.append(
            Rule(cel=f"self.matches('{pattern}')", message=f"expected {EXPECTED[pattern]}", holds=None)
        )
    members = [each["required"][0] for each in node.get("oneOf", ()) if each.keys() == {"required"}]
    if members:
        del node["oneOf"]
        there = ", ".join(f"has(self.{member})" for member in members)
        message = f"exactly one of {', '.join(members)} is needed"
        rules.append(Rule(cel=f"[{there}].filter(x, x).size() == 1", message=message, holds=None))
    if rules:
        said = node.get("x-kubernetes-validations", ())
        node["x-kubernetes-validations"] = [*said, *(rule.as_validation() for rule in rules)]


_FIRST = ("description", "type", "format", "enum", "default", "required", "properties", "items")


def _in_reading_order(node: Schema) -> Schema:
    return {name: node[name] for name in (*_FIRST, *sorted(node)) if name in node}
