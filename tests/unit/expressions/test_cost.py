"""What an evaluation may cost is bounded before it begins, by sizes alone (ADR 0023)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_api.cel_cost.estimate import Sizes
from emailflow_api.cel_cost.functions import RULES, pattern_size
from emailflow_api.cel_cost.limits import LARGE, MAX_TEXT
from emailflow_api.errors import ExpressionFailed, ExpressionTooCostly, InvalidExpression
from emailflow_api.expressions import (
    Expression,
    Result,
    Scope,
    bind,
    compile_expression,
)


def compiled(text: str, result: Result = Result.ANY) -> Expression:
    return compile_expression(text, Scope.JOURNEY, result)


def evaluate(text: str, data: Any, result: Result = Result.ANY) -> Any:
    return compiled(text, result).evaluate(bind(event={"id": "e1", "data": data}))


TEXT = "x" * 20_000


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("event.data.l.map(x, event.data.s + event.data.s).join('')", {"l": [1] * 9_000, "s": TEXT}),
        ("event.data.l.map(x, 1).size()", {"l": [1] * 9_000}),
        ("event.data.l.filter(x, x == 1).size()", {"l": [1] * 9_000}),
        ("event.data.s.replace('', event.data.s)", {"s": TEXT * 10}),
        ("event.data.l.map(x, event.data.s).join(event.data.s)", {"l": [1] * 800, "s": TEXT}),
        (
            "event.data.l.exists(x, event.data.s.contains(event.data.t))",
            {"l": [1] * 500, "s": TEXT, "t": TEXT},
        ),
        ("event.data.l.exists(x, -1 in event.data.l)", {"l": list(range(9_000))}),
        ("event.data.l.exists(x, event.data.a == event.data.l)", {"l": [1] * 9_000, "a": [1] * 9_000}),
        ("event.data.s.matches('(x?){100}y')", {"s": TEXT}),
        ("event.data.s.split('').map(x, x).size()", {"s": TEXT}),
        ("event.data.l.exists(x, event.data.m.exists(y, y == x))", {"l": [1] * 3_000, "m": [2] * 3_000}),
    ],
)
def test_what_may_take_too_long_for_the_data_is_not_evaluated(text: str, data: Any) -> None:
    with pytest.raises(ExpressionTooCostly) as caught:
        evaluate(text, data)
    assert caught.value.reason == "ExpressionTooCostly"
    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("event.data.items.exists(i, i.qty > 1)", {"items": [{"qty": 1}] * 5_000 + [{"qty": 2}]}, True),
        (
            "event.data.items.map(i, i.name).join(', ')",
            {"items": [{"name": "a"}] * 500},
            ", ".join("a" * 500),
        ),
        ("event.data.wanted.exists(w, w in event.data.sold)", {"wanted": [1] * 50, "sold": [2] * 200}, False),
        ("event.data.s.size()", {"s": TEXT * 10}, 200_000),
        ("event.data.s.lowerAscii().contains('y')", {"s": TEXT * 10}, False),
        ("event.data.s.matches('^[A-Z]{2}[0-9]{4}$')", {"s": "AB1234"}, True),
        ("event.data.?a.?b.optMap(x, x + 1).orValue(0)", {"a": {"b": 1}}, 2),
    ],
)
def test_what_flows_ask_of_ordinary_events_is_evaluated(text: str, data: Any, value: Any) -> None:
    assert evaluate(text, data) == value


def test_the_library_s_own_budget_ends_in_the_one_error_of_expressions() -> None:
    # 40,000 iterations; the library raises RuntimeError at 10,000 of them.
    with pytest.raises(ExpressionFailed, match="too many iterations"):
        evaluate("event.data.l.all(x, event.data.l.all(y, true))", {"l": [1] * 200})


def test_all_expressions_of_one_input_share_a_budget() -> None:
    bindings = bind(event={"id": "e1", "data": {"l": [1] * 800}})
    expression = compiled("event.data.l.filter(x, x == 1).size()")
    costs = [expression.evaluate(bindings) for _ in range(3)]
    assert costs == [800] * 3
    with pytest.raises(ExpressionTooCostly):
        expression.evaluate(bindings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("event.data.s.matches(event.data.p)", "not written in the expression"),
        (f"event.?a{'.optMap(x, x)' * 12}.orValue(1)", "called too often"),
        (
            "event.data.l.map(x, event.data.l.map(y, event.data.l.map(z, event.data.s + 'a')))",
            "may take too long",
        ),
        ("event.data.s.matches('(((a{0,100}){0,100}){0,100})')", "may take too long"),
    ],
)
def test_what_would_be_too_costly_for_an_ordinary_event_does_not_compile(text: str, said: str) -> None:
    with pytest.raises(InvalidExpression, match=said):
        compiled(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.data.s.charAt(1)",
        "event.data.s.indexOf('a')",
        "event.data.s.lastIndexOf('a')",
        "event.data.l.join('a')",
        "event.data.s.upperAscii()",
        "event.data.s.replace('a', 'b', 1)",
        "event.data.s.split(',', 2)",
        "event.data.s.substring(1, 2)",
        "event.data.s.trim()",
        "event.data.s.reverse()",
        "'%s'.format([event.data.s])",
        "strings.quote(event.data.s)",
        "math.greatest(1, 2)",
        "math.least([1, 2])",
        "math.ceil(1.5)",
        "math.floor(1.5)",
        "math.round(1.5)",
        "math.trunc(1.5)",
        "math.abs(-1)",
        "math.sign(-1)",
        "math.isNaN(1.0)",
        "math.isInf(1.0)",
        "math.isFinite(1.0)",
        "math.bitAnd(1, 2)",
        "math.bitOr(1, 2)",
        "math.bitXor(1, 2)",
        "math.bitNot(1)",
        "math.bitShiftLeft(1, 2)",
        "math.bitShiftRight(1, 2)",
        "math.sqrt(4)",
        "optional.of(1).value()",
        "optional.none().orValue(1)",
        "optional.ofNonZeroValue(1).hasValue()",
        "event.?a.or(event.?b).orValue(1)",
        "event.a[?0].orValue(1)",
        "event.?a.optFlatMap(x, x.?b).orValue(1)",
        "[?event.?a].size()",
        "{?'a': event.?a}",
        "event.a.startsWith('a')",
        "event.a.endsWith('a')",
        "type(event.a) == string",
        "int(event.a) + 1",
        "uint(event.a) + 1u",
        "double(event.a) * 2.0 / 3.0",
        "int(event.a) % 2",
        "-int(event.a)",
        "string(event.a)",
        "string(bytes(event.a))",
        "bool(event.a)",
        "dyn(event.a)",
        "duration('1h') + duration(event.a)",
        "timestamp(event.a) < now",
        "now.getDate() + now.getDayOfMonth() + now.getDayOfWeek() + now.getDayOfYear() + now.getFullYear()",
        "now.getHours() + now.getMilliseconds() + now.getMinutes() + now.getMonth() + now.getSeconds()",
        "event.l.exists_one(x, x > 1)",
        "event.l.map(x, x > 1, x)",
        "has(event.a) ? !true : 1 in [1]",
        "event.a != 1 && event.b >= 2 || event.c <= 3",
        "event.m['a']",
        "size(event.l)",
    ],
)
def test_every_function_of_the_library_has_a_cost(text: str) -> None:
    assert compiled(text).text == text


@pytest.mark.parametrize(
    ("pattern", "least"),
    [
        ("abc", 3),
        ("(ab){10}", 20),
        ("((a{10}){10}){10}", 1_000),
        ("[a-z]{1,900}", 900),
        (r"\pL{200}", 200_000),
    ],
)
def test_a_counted_repetition_counts_as_often_as_it_repeats(pattern: str, least: float) -> None:
    assert pattern_size(pattern) >= least


@given(st.text(max_size=60))
def test_any_text_may_be_a_pattern(pattern: str) -> None:
    assert pattern_size(pattern) >= 1


def test_a_text_is_bounded_where_text_is_asked_for() -> None:
    assert evaluate("event.data.s", {"s": "x" * MAX_TEXT}, Result.STRING) == "x" * MAX_TEXT
    with pytest.raises(ExpressionFailed) as caught:
        evaluate("event.data.s + ''", {"s": "x" * (MAX_TEXT + 1)}, Result.STRING)
    assert caught.value.expected == f"at most {MAX_TEXT}"


def test_a_value_is_bounded_where_any_value_is_asked_for() -> None:
    with pytest.raises(ExpressionFailed, match="large value"):
        evaluate("event.data.l", {"l": [0] * 10_000})


_texts = st.recursive(
    st.sampled_from(
        ["event.data.s", "event.data.t", "'ab'", "'x'", "event.data.l.map(e, string(e)).join('-')"]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]} + {two[1]})"),
        st.tuples(inner, inner, inner).map(lambda three: f"{three[0]}.replace({three[1]}, {three[2]})"),
        inner.map(lambda one: f"{one}.split('').join('--')"),
        st.tuples(inner, inner).map(lambda two: f"event.data.l.map(e, {two[0]}).join({two[1]})"),
        inner.map(lambda one: f"strings.quote({one})"),
        inner.map(lambda one: f"'%s%s'.format([{one}, 1.5])"),
    ),
    max_leaves=5,
)


@given(
    text=_texts,
    data=st.fixed_dictionaries(
        {"s": st.text(max_size=8), "t": st.text(max_size=8), "l": st.lists(st.integers(0, 9), max_size=6)}
    ),
)
def test_no_text_is_longer_than_the_bound_of_its_memory(text: str, data: Any) -> None:
    bindings = bind(event={"id": "e1", "data": data})
    try:
        expression = compiled(text)
        found = str(expression.evaluate(bindings))
    except (InvalidExpression, ExpressionFailed):
        return
    cost = expression.limited.cost(bindings.sizes)
    assert len(found) <= cost.memory + bindings.sizes.total + len(text)


@given(
    st.sampled_from(
        [
            "event.data.l.map(x, x.a + event.data.s).join(',')",
            "event.data.l.exists(x, x in event.data.m)",
            "event.data.s.replace('a', event.data.t)",
        ]
    ),
    st.tuples(*[st.integers(0, 10_000)] * 3),
    st.tuples(*[st.integers(0, 10_000)] * 3),
)
def test_more_data_never_costs_less(text: str, one: tuple[int, int, int], more: tuple[int, int, int]) -> None:
    limited = compiled(text).limited
    small = limited.cost(Sizes(*one))
    large = limited.cost(Sizes(*(a + b for a, b in zip(one, more, strict=True))))
    assert small.time <= large.time
    assert small.memory <= large.memory


def test_lint_can_ask_whether_large_events_are_evaluated() -> None:
    assert compiled("event.data.l.exists(x, x == 1)").is_affordable(LARGE)
    assert not compiled("event.data.l.map(x, event.data.l.map(y, y).size())").is_affordable(LARGE)


def test_matches_is_the_only_function_without_a_rule_of_its_own() -> None:
    assert "matches" not in RULES
