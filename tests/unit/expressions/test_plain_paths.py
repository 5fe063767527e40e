"""A plain path is followed without CEL, and leads where CEL leads."""

import pytest

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
