"""The field reference in Markdown, from the same schemas as everything else: docs/reference/api.md.

It repeats what the models say, and adds nothing that one would have to keep up to date by hand.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from emailflow_api.kinds.metadata import API_VERSION, Document, Resource
from emailflow_api.structural.schema import Schema

_INTRODUCTION = f"""\
# API reference

Every kind of `{API_VERSION}`, field by field. Generated from the models; the same words stand in
`kubectl explain` and in the JSON Schemas under `schemas/`. *Required* fields are marked. A field that
says *Absent* has that meaning where it isn't given.
"""
_SKIPPED = {"ObjectMeta"}


def field_reference(kinds: Iterable[type[Document]]) -> str:
    """The whole page: a chapter for each kind, a table for each type below it, shared types once."""
    chapters, seen = [_INTRODUCTION], set(_SKIPPED)
    for kind in kinds:
        schema = kind.model_json_schema(by_alias=True)
        definitions: dict[str, Schema] = schema["$defs"]
        chapters.append(_chapter(kind, schema, definitions))
        for name in _in_order_of_use(schema, definitions):
            if name not in seen:
                seen.add(name)
                chapters.append(_section(name, definitions))
    return "\n".join(chapters)


def _chapter(kind: type[Document], schema: Schema, definitions: Mapping[str, Schema]) -> str:
    about = f"## {kind.__name__}\n\n{_one_line(schema['description'])}\n"
    if issubclass(kind, Resource):
        definition = kind.definition
        about += f"\n`kubectl get {definition.plural}`, short `{definition.short}`.\n"
    fields = {name: schema["properties"][name] for name in ("spec", "status") if name in schema["properties"]}
    return f"{about}\n{_table(fields, schema['required'], definitions)}"


def _section(name: str, definitions: Mapping[str, Schema]) -> str:
    schema = definitions[name]
    rules = [entry["message"] for entry in schema.get("x-kubernetes-validations", ())]
    if members := _exactly_one(schema):
        rules.insert(0, f"exactly one of {', '.join(f'`{member}`' for member in members)}")
    text = f"### {name}\n\n{_one_line(schema['description'])}\n"
    if rules:
        text += "\n" + "".join(f"- Rule: {rule}.\n" for rule in rules)
    if "properties" in schema:
        text += "\n" + _table(schema["properties"], schema.get("required", ()), definitions)
    return text


def _exactly_one(schema: Schema) -> list[str]:
    if schema.get("maxProperties") == 1:
        return list(schema["properties"])
    return [choice["required"][0] for choice in schema.get("oneOf", ())]


def _table(fields: Mapping[str, Schema], required: Iterable[str], definitions: Mapping[str, Schema]) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    needed = set(required)
    for name, schema in fields.items():
        target = definitions.get(str(schema.get("$ref", "")).removeprefix("#/$defs/"), {})
        meaning = ["*Required.*"] if name in needed else []
        meaning.append(_one_line(schema.get("description") or target.get("description", "")))
        default = schema.get("default")
        if default is not None and not isinstance(default, list | dict):
            meaning.append(f"Default: `{_literal(default)}`.")
        meaning += [f"Rule: {entry['message']}." for entry in schema.get("x-kubernetes-validations", ())]
        rows.append(f"| `{name}` | {_type(schema)} | {' '.join(meaning)} |")
    return "\n".join(rows) + "\n"


def _type(schema: Schema) -> str:
    """The type as a reader sees it; one of ours is a link to its section."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if reference := schema.get("$ref"):
        name = reference.removeprefix("#/$defs/")
        return f"[{name}](#{name.lower()})"
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return "string or object" if choices else "object"
    if len(choices) == 1:
        return _type(choices[0])
    if values := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return ", ".join(f"`{_literal(value)}`" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {_type(schema['additionalProperties'])}"
    return str(schema.get("x-expected") or schema.get("type", "any JSON"))


def _in_order_of_use(schema: Any, definitions: Mapping[str, Schema]) -> dict[str, None]:
    """Names of the types in the order in which a reader meets them."""
    met: dict[str, None] = {}

    def visit(node: Any) -> None:
        if isinstance(node, list):
            for child in node:
                visit(child)
        elif isinstance(node, Mapping):
            name = str(node.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in met:
                met[name] = None
                visit(definitions[name])
            for child in node.values():
                visit(child)

    visit(schema["properties"])
    return met


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _literal(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
