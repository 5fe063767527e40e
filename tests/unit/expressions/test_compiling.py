"""What an author is told about an expression before it ever runs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.errors import InvalidExpression
from emailflow_api.expressions import Result, Scope, compile_expression

VARIABLES = {
    Scope.MAPPING: {"event"},
    Scope.ENTRY: {"event", "contact", "now"},
    Scope.JOURNEY: {"event", "trigger", "contact", "journey", "now"},
}


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("name", ["event", "trigger", "contact", "journey", "now"])
def test_a_scope_has_the_variables_of_the_table_and_no_others(scope: Scope, name: str) -> None:
    text = f"{name} == {name}"
    if name in VARIABLES[scope]:
        assert compile_expression(text, scope, Result.BOOL).text == text
    else:
        with pytest.raises(InvalidExpression) as caught:
            compile_expression(text, scope, Result.BOOL)
        assert str(caught.value) == f"column 1: `{name}` is not known here"
        assert caught.value.expected == "one of " + ", ".join(scope.value)


@pytest.mark.parametrize(
    ("text", "message", "expected"),
    [
        ("", "column 1: the expression is empty", "a CEL expression"),
        ("event.data.total >", "column 19: the expression ends too early", "its other half"),
        ("(event.data.a == 1", "column 19: the expression ends too early", "its other half"),
        ("event.data.total = 1", "column 18: `=` is not CEL here", "`==`"),
        ("event.data.in", "column 12: `.in` is not CEL here", "a CEL expression"),
        (
            "1 + 'x' == 2",
            "column 3: `+` does not work on int and string",
            "operands of types that go together",
        ),
        (
            "event.id ==\n 'a' && event.data.lower() == 'b'",
            "line 2, column 25: there is no function `lower` with these arguments",
            "a function of CEL",
        ),
        (
            "true && trigger.data.x == 1",
            "column 9: `trigger` is not known here",
            "one of event, contact, now",
        ),
        ("has(event)", "column 5: has() argument must be a field selection", "a CEL expression"),
    ],
)
def test_a_broken_expression_is_explained(text: str, message: str, expected: str) -> None:
    with pytest.raises(InvalidExpression) as caught:
        compile_expression(text, Scope.ENTRY, Result.BOOL)
    assert (str(caught.value), caught.value.expected) == (message, expected)


@pytest.mark.parametrize(
    ("text", "result", "given"),
    [
        ("event.data.total + 1", Result.BOOL, "int"),
        ("now", Result.BOOL, "timestamp"),
        ("'yes'", Result.BOOL, "string"),
        ("event.id == 'a'", Result.STRING, "bool"),
        ("[event.id]", Result.STRING, "list<dyn>"),
        ("1.5", Result.STRING, "double"),
    ],
)
def test_a_type_that_can_never_be_right_is_refused(text: str, result: Result, given: str) -> None:
    with pytest.raises(InvalidExpression, match="gives ") as caught:
        compile_expression(text, Scope.ENTRY, result)
    assert str(caught.value) == f"`{text}` gives {given}"
    assert caught.value.expected == result.value


@pytest.mark.parametrize("result", Result)
def test_what_only_the_data_knows_compiles_for_any_result(result: Result) -> None:
    assert compile_expression("event.data.anything", Scope.ENTRY, result).result is result


pieces = st.sampled_from(
    [
        *"event.dat a[]()'\"+-*/=!<>&|?:,{}0123\n\r\t\x00\x0b\x85\u2028é😀\\@#$;",
        "event.data",
        "has(",
        "in",
        "now",
    ]
)


@given(st.lists(pieces, max_size=12).map("".join) | st.text(max_size=20), st.sampled_from(Scope))
def test_any_text_compiles_or_is_explained(text: str, scope: Scope) -> None:
    with contextlib.suppress(InvalidExpression):
        compile_expression(text, scope, Result.BOOL)
