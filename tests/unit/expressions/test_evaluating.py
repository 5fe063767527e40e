"""What expressions make of an input."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.errors import ExpressionFailed
from emailflow_api.expressions import MissingValue, Result, Scope, bind, compile_expression

NOON = 1_767_268_800_000_000_000
"""2026-01-01T12:00:00Z."""


def evaluate(text: str, data: Any = None, result: Result = Result.ANY) -> Any:
    bindings = bind(
        event={"id": "e1", "type": "com.example.order", "data": data},
        trigger={"id": "e0", "data": {"cart_id": "c1"}},
        contact={"email": "ana@example.com", "traits": {"plan": "pro"}, "history": {"sent": {"P7D": 2}}},
        journey={"id": "j1"},
        now=NOON,
    )
    return compile_expression(text, Scope.JOURNEY, result).evaluate(bindings)


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("event.data.total > 0.5", {"total": 1}, True),
        ("event.data.total == 5.0", {"total": 5}, True),
        ("event.data.total == 5", {"total": 5.0}, True),
        ("event.data.total in [5.0]", {"total": 5}, True),
        ("event.data.total > 5", {"total": 2**64}, True),
        ("event.data.total > 5", {"total": 10**400}, True),
        ("event.data.plan != 'internal'", {"plan": "pro"}, True),
        ("event.type == 'com.example.order'", {}, True),
        ("event.data['first-name'] == 'Ana'", {"first-name": "Ana"}, True),
        ("has(event.data.coupon)", {}, False),
        ("event.data.?coupon.orValue('none') == 'none'", {}, True),
        ("event.data.note == null", {"note": None}, True),
        ("event.data.items.exists(i, i.qty > 1)", {"items": [{"qty": 1}, {"qty": 2}]}, True),
        ("event.data.name.lowerAscii() == 'ana'", {"name": "ANA"}, True),
        ("event.data.name.size() == 1", {"name": "é"}, True),
        ("contact.traits.plan == 'pro' && trigger.data.cart_id == 'c1'", {}, True),
        ("contact.history.sent.P7D < 3", {}, True),
        ("now.getHours('America/New_York') == 7", {}, True),
        ("timestamp(event.data.due) - now < duration('1h')", {"due": "2026-01-01T12:30:00Z"}, True),
        ("event.data.nothing == 1 || true", {}, True),
    ],
)
def test_conditions(text: str, data: Any, value: bool) -> None:
    assert evaluate(text, data, Result.BOOL) is value


@pytest.mark.parametrize(
    ("value", "text"), [("c1", "c1"), (17, "17"), (-3, "-3"), ("", ""), (2**53 + 1, "9007199254740993")]
)
def test_a_key_is_text_and_whole_numbers_become_text(value: Any, text: str) -> None:
    assert evaluate("event.data.k", {"k": value}, Result.STRING) == text


@pytest.mark.parametrize(
    ("value", "kind"), [(1.5, "a double"), (True, "a boolean"), ([1], "a list"), ({}, "a map")]
)
def test_what_has_no_obvious_text_is_no_key(value: Any, kind: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate("event.data.k", {"k": value}, Result.STRING)
    assert str(caught.value) == f"`event.data.k` gives {kind}"
    assert caught.value.expected == "a string or a whole number"


def test_null_is_a_missing_key() -> None:
    with pytest.raises(MissingValue):
        evaluate("event.data.k", {"k": None}, Result.STRING)


@pytest.mark.parametrize("value", ["yes", 1, None, [], 0.0])
def test_only_a_boolean_is_a_condition(value: Any) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate("event.data.flag", {"flag": value}, Result.BOOL)
    assert caught.value.expected == "true or false"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("event.data.nope == 1", "there is no `nope`"),
        ("event.data.a.b.c == 1", "there is no `b`"),
        ("event.data.n.x == 1", "asks for a field of a value that has no fields"),
        ("event.data.l[2] == 1", "asks for element 2 of 1"),
    ],
)
def test_a_field_that_is_not_there_is_a_missing_value(text: str, message: str) -> None:
    with pytest.raises(MissingValue, match=message) as caught:
        evaluate(text, {"a": {}, "n": None, "l": [1]}, Result.BOOL)
    assert caught.value.reason == "MissingValue"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("event.data.s > 1", "`>` does not work on string and int"),
        ("event.data.i + 1.5 > 0.0", "`+` does not work on int and double"),
        ("!event.data.s", "`!` does not work on values of these types"),
        ("event.data.s ? true : false", "`?` does not work on values of these types"),
        ("event.data.i / 0 == 1", "divides by zero"),
        ("event.data.i % 0 == 1", "divides by zero"),
        ("event.data.i + 9223372036854775807 > 0", "is beyond 64 bits"),
        ("int(event.data.s) == 1", "has text that is no number"),
        ("timestamp(event.data.s) == now", "has text that is no RFC 3339 time"),
        ("now.getHours(event.data.s) == 1", "names a time zone that doesn't exist"),
        ("event.data.s.matches('(')", "has a regular expression that RE2 does not accept"),
        ("event.data.?s", "gives an optional"),
    ],
)
def test_a_failure_says_what_went_wrong(text: str, message: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(text, {"s": "soon", "i": 1})
    assert message in str(caught.value)
    assert not isinstance(caught.value, MissingValue)


@pytest.mark.parametrize("text", ["event.data[event.data.email]", "timestamp(event.data.email) == now"])
def test_a_failure_repeats_nothing_of_the_data(text: str) -> None:
    with pytest.raises(ExpressionFailed) as caught:
        evaluate(text, {"email": "ana@example.com", "big": 2**64})
    assert "ana" not in str(caught.value)


def test_times_become_rfc_3339() -> None:
    assert evaluate("{'at': now, 'tags': ['a', 1, 1.5, true, null]}") == {
        "at": "2026-01-01T12:00:00Z",
        "tags": ["a", 1, 1.5, True, None],
    }


@pytest.mark.parametrize("text", ["duration('1h')", "b'x'", "{1: 2}", "1.0 / 0.0", "type(1)"])
def test_what_json_can_not_hold_is_no_value(text: str) -> None:
    with pytest.raises(ExpressionFailed, match="gives"):
        evaluate(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    json_values,
    st.sampled_from(["event.data.a > 1", "event.data.size() == 1", "event.data", "event.data[0]"]),
)
def test_any_data_gives_a_value_or_a_reason(data: Any, text: str) -> None:
    with contextlib.suppress(ExpressionFailed):
        evaluate(text, data)


small = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@given(small, small)
def test_numbers_compare_by_value_whatever_their_json_form(left: float, right: float) -> None:
    data = {"a": left, "b": right}
    assert evaluate("event.data.a < event.data.b", data, Result.BOOL) is (left < right)
    assert evaluate("event.data.a == event.data.b", data, Result.BOOL) is (left == right)


def test_one_binding_serves_many_expressions() -> None:
    bindings = bind(event={"id": "e1", "data": {"total": 2**70}})
    for text in ("event.data.total > 1.0", "event.id == 'e1'", "event.data.total > 2.0"):
        assert compile_expression(text, Scope.MAPPING, Result.BOOL).evaluate(bindings) is True
