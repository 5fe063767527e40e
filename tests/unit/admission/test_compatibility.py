"""Which changes of an EventType's schema keep its promise, and that what passes keeps it for real data."""

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emailflow_api.compile.compatibility import breaks


def an_object(required=(), **fields):
    return {"type": "object", "required": list(required), "properties": fields}


TEXT, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
CART = an_object(["id"], id=TEXT, total=NUMBER)
NODE = {"$ref": "#/$defs/node", "$defs": {"node": an_object(next={"$ref": "#/$defs/node"}, name=TEXT)}}
CLOSED = {**CART, "additionalProperties": False}

KEEPS = {
    "nothing changes": (CART, CART),
    "words for people": (CART, {**CART, "description": "A cart.", "title": "Cart"}),
    "an optional field": (CART, an_object(["id"], id=TEXT, total=NUMBER, note=TEXT)),
    "a field less required": (CART, an_object([], id=TEXT, total=NUMBER)),
    "a field gone from an open object": (CART, an_object(["id"], id=TEXT)),
    "a wider type": (an_object(n=INTEGER), an_object(n=NUMBER)),
    "one more type": (an_object(n=TEXT), an_object(n={"type": ["string", "null"]})),
    "one more value": ({"enum": ["a"]}, {"enum": ["a", "b"]}),
    "a looser bound": ({"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}),
    "no bound any more": ({"type": "number", "minimum": 0}, NUMBER),
    "an open object": (CLOSED, CART),
    "no schema any more": (CART, True),
    "listed values become their type": ({"enum": ["a", "b"]}, TEXT),
    "a bound of another type": (TEXT, {"type": "string", "minimum": 4}),
    "a finer step": ({"type": "integer", "multipleOf": 4}, {"type": "integer", "multipleOf": 2}),
    "a recursive schema stays": (NODE, NODE),
    "a reference is written out": ({"$ref": "#/$defs/t", "$defs": {"t": TEXT}}, TEXT),
    "what isn't judged stays": ({"anyOf": [TEXT, NUMBER]}, {"anyOf": [TEXT, NUMBER]}),
}
BREAKS = {
    "one more field required": (CART, an_object(["id", "total"], id=TEXT, total=NUMBER), "required"),
    "another type": (an_object(n=TEXT), an_object(n=NUMBER), "properties.n.type"),
    "only integers": (an_object(n=NUMBER), an_object(n=INTEGER), "properties.n.type"),
    "one value less": ({"enum": ["a", "b"]}, {"enum": ["a"]}, "enum"),
    "true is not 1": ({"enum": [1]}, {"enum": [True]}, "enum"),
    "a tighter bound": ({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 5}, "maxLength"),
    "an exclusive bound": (
        {"type": "number", "minimum": 1},
        {"type": "number", "exclusiveMinimum": 1},
        "minimum",
    ),
    "listed values under a bound": ({"enum": ["abc"]}, {"type": "string", "maxLength": 2}, "maxLength"),
    "a new pattern": (TEXT, {"type": "string", "pattern": "^a"}, "pattern"),
    "a closed object": (CART, CLOSED, "additionalProperties"),
    "a field gone from a closed object": (
        CLOSED,
        {**an_object(["id"], id=TEXT), "additionalProperties": False},
        "properties.total",
    ),
    "a schema where there was none": (True, CART, "type"),
    "items get a type": ({"type": "array"}, {"type": "array", "items": TEXT}, "items.type"),
    "deep inside": (
        an_object(list={"type": "array", "items": CART}),
        an_object(list={"type": "array", "items": an_object(["id"], id=NUMBER)}),
        "properties.list.items.properties.id.type",
    ),
    "behind a reference": (
        NODE,
        {**NODE, "$defs": {"node": an_object(next={"$ref": "#/$defs/node"}, name=NUMBER)}},
        "properties.name.type",
    ),
    "a recursive schema is written out": (
        NODE,
        an_object(name=TEXT, next=an_object(name=NUMBER)),
        "properties.next.properties.name.type",
    ),
    "what isn't judged changes": ({"anyOf": [TEXT, NUMBER]}, {"anyOf": [TEXT]}, "anyOf"),
    "what isn't judged refers to what changes": (
        {"anyOf": [{"$ref": "#/$defs/t"}], "$defs": {"t": TEXT}},
        {"anyOf": [{"$ref": "#/$defs/t"}], "$defs": {"t": NUMBER}},
        "anyOf",
    ),
    "other fields have to be of a type": (
        CART,
        {**CART, "additionalProperties": TEXT},
        "additionalProperties.type",
    ),
}


@pytest.mark.parametrize(("old", "new"), KEEPS.values(), ids=KEEPS)
def test_a_change_that_is_backward_compatible(old, new):
    assert breaks(old, new, "Backward") == []


@pytest.mark.parametrize(("old", "new", "path"), BREAKS.values(), ids=BREAKS)
def test_a_change_that_is_not_backward_compatible(old, new, path):
    assert path in [each.path for each in breaks(old, new, "Backward")]


@pytest.mark.parametrize(("old", "new", "path"), BREAKS.values(), ids=BREAKS)
def test_forward_is_backward_with_the_roles_changed(old, new, path):
    assert path in [each.path for each in breaks(new, old, "Forward")]


TABLE = {
    "an optional field added to an open object": (
        CART,
        an_object(["id"], id=TEXT, total=NUMBER, x=TEXT),
        True,
        True,
    ),
    "an optional field taken from an open object": (CART, an_object(["id"], id=TEXT), True, True),
    "a required field more": (CART, an_object(["id", "total"], id=TEXT, total=NUMBER), False, True),
    "a required field becomes optional": (CART, an_object([], id=TEXT, total=NUMBER), True, False),
    "a wider type": (an_object(n=INTEGER), an_object(n=NUMBER), True, False),
    "a value more in enum": ({"enum": ["a"]}, {"enum": ["a", "b"]}, True, False),
    "a looser bound": ({"type": "number", "minimum": 2}, {"type": "number", "minimum": 1}, True, False),
    "additionalProperties: false": (CART, CLOSED, False, True),
}


@pytest.mark.parametrize(("old", "new", "backward", "forward"), TABLE.values(), ids=TABLE)
def test_the_table_of_the_how_to(old, new, backward, forward):
    assert (breaks(old, new, "Backward") == []) is backward
    assert (breaks(old, new, "Forward") == []) is forward


def test_full_is_both():
    narrower = an_object(["id", "total"], id=TEXT, total=NUMBER)
    assert breaks(CART, narrower, "Forward") == []
    assert breaks(CART, narrower, "Full") == breaks(CART, narrower, "Backward") != []


def test_none_promises_nothing():
    assert breaks(CART, an_object(["x"], id=NUMBER), "None") == []


def test_parts_that_are_shared_are_compared_once():
    """Written out, this schema has 2^40 leaves."""

    def shared(leaf):
        definitions = {"d40": leaf}
        for level in range(40):
            following = {"$ref": f"#/$defs/d{level + 1}"}
            definitions[f"d{level}"] = an_object(a=following, b=following)
        return {"$ref": "#/$defs/d0", "$defs": definitions}

    assert breaks(shared(TEXT), shared(TEXT), "Full") == []
    assert [each.path for each in breaks(shared(TEXT), shared(NUMBER), "Backward")] == [
        ".".join(["properties.a"] * 40) + ".type"
    ]


SCALARS = st.one_of(
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(0, 4),
        st.integers(0, 4),
    ),
    st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 3)),
    st.builds(
        lambda chosen: {"enum": chosen}, st.lists(st.sampled_from([0, 1, True, "a", None]), min_size=1)
    ),
    st.sampled_from(
        [True, {"type": "number"}, {"type": ["string", "null"]}, {"type": "boolean"}, {"const": 1}]
    ),
)


def closed_objects(inner):
    return st.builds(
        lambda fields, required: {
            "type": "object",
            "properties": fields,
            "required": required,
            "additionalProperties": False,
        },
        st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
        st.lists(st.sampled_from("ab"), unique=True, max_size=1),
    )


SCHEMAS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        closed_objects(inner), st.builds(lambda items: {"type": "array", "items": items}, inner)
    ),
    max_leaves=4,
)
DATA = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, 3, 5, 0.5, "", "a", "abcd"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(DATA, max_size=12))
def test_what_passes_keeps_data_valid(old, new, data):
    if not breaks(old, new, "Backward"):
        assert [
            each
            for each in data
            if jsonschema_rs.is_valid(old, each) and not jsonschema_rs.is_valid(new, each)
        ] == []


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "type",
                        "properties",
                        "required",
                        "items",
                        "enum",
                        "$ref",
                        "minLength",
                        "multipleOf",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from([True, CART, NODE, {"type": 5, "$ref": "#/nowhere"}]),
)
def test_no_schema_makes_it_raise(garbage, schema):
    breaks(garbage, schema, "Full")
    breaks(schema, garbage, "Full")
