"""A plain path is followed, and compared, without CEL, and says what CEL says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.errors import ExpressionFailed
from emailflow_api.expressions import MissingValue, Result, Scope, bind, compile_expression

VALUES = ["ana@example.com", "", "Zoë", 7, 2**70, 1.5, True, None, {"a": "b"}, ["a"], {}]
PATH = "event.data.email"
SAME = "(event.data).email"
"""No plain path, so CEL evaluates it."""


def outcome(text, result, event):
    try:
        return compile_expression(text, Scope.MAPPING, result).evaluate(bind(event=event))
    except ExpressionFailed as failed:
        return type(failed)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("result", [Result.STRING, Result.ANY])
def test_a_path_gives_what_cel_gives(result, value):
    event = {"data": {"email": value}}
    assert outcome(PATH, result, event) == outcome(SAME, result, event)


@pytest.mark.parametrize("data", [None, "text", 3, [], {}, {"mail": "a@example.com"}])
@pytest.mark.parametrize("result", [Result.STRING, Result.ANY])
def test_a_path_that_leads_nowhere_fails_as_cel_does(result, data):
    assert outcome(PATH, result, {"data": data}) == outcome(SAME, result, {"data": data})


@pytest.mark.parametrize("text", ["event.data.email", "event.data.customer.name"])
def test_a_field_that_is_not_there_is_missed_in_the_same_words(text):
    expression = compile_expression(text, Scope.MAPPING, Result.STRING)
    with pytest.raises(MissingValue) as ours:
        expression.evaluate(bind(event={"data": {"customer": {}}, "odd": object()}))
    expression = compile_expression(text.replace("event.data", "(event.data)"), Scope.MAPPING, Result.STRING)
    with pytest.raises(MissingValue) as cels:
        expression.evaluate(bind(event={"data": {"customer": {}}}))
    assert str(ours.value) == str(cels.value).replace("(event.data)", "event.data")


def test_a_variable_that_is_not_there_fails_as_cel_does():
    bindings = bind(event={"data": {}})
    for text in ("contact.email", "(contact).email"):
        with pytest.raises(ExpressionFailed, match="without a value here"):
            compile_expression(text, Scope.ENTRY, Result.STRING).evaluate(bindings)


def test_a_path_to_text_is_followed_though_cel_never_sees_the_values():
    bindings = bind(event={"data": {"email": "ana@example.com"}, "odd": object()})
    assert compile_expression(PATH, Scope.MAPPING, Result.STRING).evaluate(bindings) == "ana@example.com"


NUMBERS = st.one_of(
    st.integers(-3, 3), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)
)
FOUND = st.one_of(NUMBERS, st.text(max_size=2), st.sampled_from(VALUES))
NO_ESCAPES = st.text(
    st.characters(exclude_characters="\"'\\\n\r", exclude_categories=("Cs", "Cc")), max_size=2
)
LITERALS = st.one_of(
    st.integers(-3, 3).map(str),
    st.integers(-(10**15) + 1, 10**15 - 1).map(str),
    st.tuples(st.sampled_from("\"'"), NO_ESCAPES).map(lambda pair: f"{pair[0]}{pair[1]}{pair[0]}"),
)
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])


@given(FOUND, SIGNS, LITERALS, st.sampled_from(["", " ", "  "]))
def test_a_comparison_says_what_cel_says(value, sign, literal, space):
    event = {"data": {"email": value}}
    comparison = f"{space}{sign}{space}{literal}"
    ours = outcome(f"{PATH}{comparison}", Result.BOOL, event)
    assert ours == outcome(f"{SAME}{comparison}", Result.BOOL, event)


def test_a_comparison_with_a_field_that_is_not_there_fails_as_cel_does():
    for data in (None, "text", 3, [], {}):
        ours = outcome(f"{PATH} > 0", Result.BOOL, {"data": data})
        assert ours == outcome(f"{SAME} > 0", Result.BOOL, {"data": data})
    assert outcome(f"{PATH} > 0", Result.BOOL, {"data": {}}) is MissingValue


def test_a_value_is_compared_though_cel_never_sees_the_values():
    bindings = bind(event={"data": {"total": 7}, "odd": object()})
    assert compile_expression("event.data.total > 0", Scope.MAPPING, Result.BOOL).evaluate(bindings) is True


@pytest.mark.parametrize(
    "text", ["event.data.total > 0 || true", "event.data.total > 0.5", "0 < event.data.total"]
)
def test_other_expressions_are_cels(text):
    expression = compile_expression(text, Scope.MAPPING, Result.BOOL)
    assert expression.evaluate(bind(event={"data": {"total": 7}})) is True
