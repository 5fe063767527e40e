"""The promises that every schema keeps: a new field that breaks one fails here."""

import re

import pytest

ENUMS_IN_LOWER_CASE = {"format"}
"""They name fields beside them (mjml, html, markdown), so they are spelled like fields."""


def is_text(schema):
    return schema.get("type") == "string" and "enum" not in schema


def test_every_list_has_a_longest_length_and_says_how_it_is_merged(nodes):
    lists = [node for node in nodes if node.schema.get("type") == "array"]
    assert lists
    assert not [node.path for node in lists if "maxItems" not in node.schema]
    kinds = {node.schema.get("x-kubernetes-list-type") for node in lists}
    assert kinds <= {"atomic", "map"}


def test_every_string_has_a_longest_length(nodes):
    unbounded = [n.path for n in nodes if is_text(n.schema) and "maxLength" not in n.schema]
    assert [path for path in unbounded if path not in {"apiVersion", "kind"}] == []


def test_every_map_has_a_largest_size(nodes):
    maps = [node for node in nodes if "additionalProperties" in node.schema]
    assert not [node.path for node in maps if "maxProperties" not in node.schema]


def test_lengths_and_sizes_stand_where_they_count(nodes):
    belongs = {"maxItems": "array", "maxProperties": "object", "maxLength": "string"}
    misplaced = [
        f"{node.path}: {word}"
        for node in nodes
        for word, kind in belongs.items()
        if word in node.schema and node.schema.get("type", kind) != kind
    ]
    assert misplaced == []


def test_every_field_tells_what_it_is(nodes):
    undescribed = [n.path for n in nodes if "description" not in n.schema and n.path != "metadata"]
    assert [path for path in undescribed if not path.endswith(("[]", "{}"))] == []


def test_there_is_no_default_below_a_list(nodes):
    assert [node.path for node in nodes if node.below_list and "default" in node.schema] == []


def test_only_plain_values_are_defaults(nodes):
    defaults = {node.path: node.schema["default"] for node in nodes if "default" in node.schema}
    assert not {path: value for path, value in defaults.items() if isinstance(value, list | dict)}


def test_the_status_has_no_defaults(nodes):
    assert [n.path for n in nodes if n.path.startswith("status") and "default" in n.schema] == []


def test_every_node_is_structural(nodes):
    """Kubernetes' rules for structural schemas: a type everywhere, and none inside `anyOf` and the like."""
    free = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
    assert not [n.path for n in nodes if "type" not in n.schema and not any(n.schema.get(f) for f in free)]
    for node in nodes:
        for choice in (*node.schema.get("anyOf", ()), *node.schema.get("oneOf", ())):
            assert not choice.keys() & {"type", "description", "default", "nullable", "additionalProperties"}


def test_no_node_says_what_kubernetes_refuses(nodes):
    refused = {"$ref", "$defs", "title", "const", "examples", "x-expected", "nullable", "patternProperties"}
    assert not [node.path for node in nodes if node.schema.keys() & refused]
    assert not [node.path for node in nodes if node.schema.get("additionalProperties") is False]


def test_enum_values_are_camel_case(nodes):
    for node in nodes:
        if node.path.rpartition(".")[2] in ENUMS_IN_LOWER_CASE:
            continue
        for value in node.schema.get("enum", ()):
            assert not isinstance(value, str) or re.fullmatch("[A-Z][A-Za-z0-9]*", value), node.path


def test_keys_of_keyed_lists_are_required(nodes):
    for node in nodes:
        for key in node.schema.get("x-kubernetes-list-map-keys", ()):
            assert key in node.schema["items"]["required"], node.path


def test_patterns_are_read_alike_everywhere(nodes):
    """RE2, Rust, Python and ECMAScript differ in look-around and in what \\d, \\w, \\s mean."""
    for node in nodes:
        pattern = node.schema.get("pattern", "")
        assert not re.search(r"\\[dws]|\(\?", pattern), node.path
        assert pattern == "" or (pattern.startswith("^") and pattern.endswith("$")), node.path


def test_every_rule_has_a_message_of_its_own(nodes):
    rules = [rule for node in nodes for rule in node.schema.get("x-kubernetes-validations", ())]
    assert rules
    # What is expected of a kind of text is the same wherever it stands.
    messages = [rule["message"] for rule in rules if not rule["message"].startswith("expected ")]
    assert len(set(messages)) == len(messages)


def test_nested_filters_go_two_levels_deep(definitions):
    trigger = definitions["EmailFlow"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
        "spec"
    ]
    outer = trigger["properties"]["trigger"]["properties"]["filters"]["items"]
    inner = outer["properties"]["all"]["items"]
    leaf = inner["properties"]["not"]
    assert {"all", "any", "not", "cel"} <= inner["properties"].keys()
    assert leaf["properties"].keys() == {"exact", "prefix", "suffix", "cesql", "cel"}


@pytest.mark.parametrize(
    "path",
    ["spec.trigger.filters[]", "spec.trigger.filters[].all[]", "spec.steps[].wait"],
)
def test_exactly_one_member_without_siblings_is_a_count(definitions, path):
    node = _at(definitions["EmailFlow"], path)
    assert (node["minProperties"], node["maxProperties"]) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "path", "members"),
    [
        ("EmailFlow", "spec.steps[]", "send wait waitFor branch split set emit end"),
        ("EmailFlow", "spec.steps[].waitFor.any[]", "types condition"),
        ("EmailTemplate", "spec", "mjml html markdown bodyFrom"),
    ],
)
def test_exactly_one_member_among_siblings_is_a_choice(definitions, kind, path, members):
    node = _at(definitions[kind], path)
    # A rule, since the API server's own words for `oneOf` name no member.
    there = ", ".join(f"has(self.{member})" for member in members.split())
    rules = {rule["rule"]: rule["message"] for rule in node["x-kubernetes-validations"]}
    assert rules[f"[{there}].filter(x, x).size() == 1"].startswith("exactly one of ")


def _at(definition, path):
    node = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for part in path.split("."):
        node = node["properties"][part.removesuffix("[]")]
        node = node["items"] if part.endswith("[]") else node
    return node
