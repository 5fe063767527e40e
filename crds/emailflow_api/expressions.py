"""Expressions: CEL as the API promises it, over what Google's C++ implementation gives.

The library returns errors as values, and some of its messages quote the data; here both end as exceptions
whose messages name fields and types, never values, so that they may stand in logs. Which variables exist
where is the table in the API reference. Nothing here may keep an expression's result or read a clock.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings

from emailflow_api.errors import ExpressionFailed, InvalidExpression
from emailflow_api.plain_paths import PlainPath


class MissingValue(ExpressionFailed):
    """The expression asks for a field that this input does not have, or where text is needed it has null."""

    reason = "MissingValue"


class Scope(Enum):
    """Where an expression stands, and so which variables it has."""

    MAPPING = ("event",)
    """An EventType's contact mapping."""
    ENTRY = ("event", "contact", "now")
    """A trigger's filters and key."""
    JOURNEY = ("event", "trigger", "contact", "journey", "now")
    """Everything in a flow that belongs to a running journey."""


class Result(Enum):
    """What an expression is asked for. Types that only the data knows are checked when evaluating."""

    BOOL = "true or false"
    STRING = "a string or a whole number"
    """Whole numbers become their decimal text, since ids come as either."""
    ANY = "a JSON value"


_MAP = cel.Type.Map(cel.Type.STRING, cel.Type.DYN)
_EXTENSIONS = [ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_math.ExtMath()]


def _env(scope: Scope) -> Any:
    variables = {name: cel.Type.TIMESTAMP if name == "now" else _MAP for name in scope.value}
    return cel.NewEnv(variables=variables, extensions=_EXTENSIONS)


_CHECKING = {scope: _env(scope) for scope in Scope}
_RUNNING = _env(Scope.JOURNEY)
"""Programs and activations of one environment: across environments, timestamps are not understood."""
_ALLOWED = {
    Result.BOOL: (cel.Type.BOOL, cel.Type.DYN),
    Result.STRING: (cel.Type.STRING, cel.Type.INT, cel.Type.UINT, cel.Type.DYN),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OUT_OF_RANGE = re.compile(r"Integer value '-?\d+' out of range")


class Bindings:
    """The values that one input gives to expressions.

    CEL converts them at the first evaluation and keeps that (9 us for a 700 B event, then 1.5 us for each
    expression), so make one per input, use it for all expressions, and let it go with the input: results
    are kept in its memory, too.
    """

    __slots__ = ("_activation", "values")

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self._activation: Any = None

    @property
    def activation(self) -> Any:
        """The values as CEL takes them."""
        if self._activation is None:
            self._activation = _RUNNING.Activation(data=self.values)
        return self._activation

    def widen(self) -> None:
        """Turn integers that CEL can't hold (beyond 64 bits) into doubles, as JSON readers do.

        Rare, so it is done only after CEL has refused them, not before each evaluation.
        """
        self.values = _widened(self.values)
        self._activation = None


def bind(
    *,
    event: Mapping[str, Any],
    trigger: Mapping[str, Any] | None = None,
    contact: Mapping[str, Any] | None = None,
    journey: Mapping[str, Any] | None = None,
    now: int | None = None,
) -> Bindings:
    """Values for expressions: plain JSON values, `now` in nanoseconds since 1970-01-01 UTC.

    `event` and `trigger` hold the CloudEvents attributes and `data`.
    """
    values: dict[str, Any] = {"event": event}
    if trigger is not None:
        values["trigger"] = trigger
    if contact is not None:
        values["contact"] = contact
    if journey is not None:
        values["journey"] = journey
    if now is not None:
        values["now"] = _EPOCH + timedelta(microseconds=now // 1000)
    return Bindings(values)


class Expression:
    """A compiled expression. Immutable; may be evaluated any number of times."""

    __slots__ = ("_plain", "_program", "result", "text")

    def __init__(self, text: str, result: Result, program: Any) -> None:
        self.text = text
        self.result = result
        self._program = program
        plain = PlainPath.read(text)
        compares = plain is not None and plain.comparison is not None
        self._plain = plain if compares == (result is Result.BOOL) else None

    def evaluate(self, bindings: Bindings) -> Any:
        """The value: a bool, a str or a JSON value, as `result` says.

        Raises MissingValue (a field that isn't there) or another ExpressionFailed (wrong types, overflow,
        a result that isn't what was asked for).
        """
        if self._plain is not None:
            try:
                value = self._plain.value(bindings.values)
            except KeyError as missed:
                raise _missing(self.text, missed.args[0]) from None
            if value is not None:
                return value
        outcome = self._program.eval(bindings.activation)
        if outcome.type() == cel.Type.ERROR and _OUT_OF_RANGE.search(_failure_text(outcome)):
            bindings.widen()
            outcome = self._program.eval(bindings.activation)
        if outcome.type() in (cel.Type.ERROR, cel.Type.UNKNOWN):
            raise _failure(self.text, _failure_text(outcome))
        value = outcome.plain_value()
        if self.result is Result.BOOL and isinstance(value, bool):
            return value
        if self.result is Result.STRING:
            return self._as_text(value)
        if self.result is Result.ANY:
            return self._as_json(value)
        raise self._wrong_result(value)

    def _as_text(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value is None:
            raise MissingValue(f"`{self.text}` is null", expected=self.result.value)
        raise self._wrong_result(value)

    def _as_json(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        if isinstance(value, list):
            return [self._as_json(item) for item in value]
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return {key: self._as_json(item) for key, item in value.items()}
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        raise self._wrong_result(value)

    def _wrong_result(self, value: Any) -> ExpressionFailed:
        kind = _KINDS.get(type(value), "a value that JSON can't hold")
        return ExpressionFailed(f"`{self.text}` gives {kind}", expected=self.result.value)


_KINDS = {
    bool: "a boolean",
    int: "a whole number",
    float: "a double",
    str: "a string",
    list: "a list",
    dict: "a map",
    type(None): "null",
    datetime: "a timestamp",
    timedelta: "a duration",
    bytearray: "bytes",
}


def compile_expression(text: str, scope: Scope, result: Result) -> Expression:
    """Parse and type-check CEL (cel-spec's standard functions, with strings, math and optionals).

    Raises InvalidExpression whose message says where in `text` and what is wrong, and `expected` what
    could stand there.
    """
    try:
        returned = _CHECKING[scope].compile(text).return_type()
    except RuntimeError as error:
        raise _invalid(text, scope, str(error)) from None
    if result in _ALLOWED and returned not in _ALLOWED[result]:
        kind = returned.name().lower()
        raise InvalidExpression(f"`{text}` gives {kind}", expected=result.value)
    return Expression(text, result, _RUNNING.compile(text))


# --- what is wrong with an expression ----------------------------------------------------------------

_PROBLEM = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_NOT_CEL = re.compile(r"(?:token recognition error at:|no viable alternative at input) '(.*)'")


def _invalid(text: str, scope: Scope, report: str) -> InvalidExpression:
    problem = _PROBLEM.search(report)
    if problem is None:
        return InvalidExpression(report.removesuffix(" [INVALID_ARGUMENT]"), expected="a CEL expression")
    line, column, detail = int(problem[1]), int(problem[2]), problem[3].removesuffix(" [INVALID_ARGUMENT]")
    if (undeclared := _UNDECLARED.match(detail)) and "." in (name := undeclared[1]):
        column -= name.rindex(".")  # the library points at the last dot, people look for the first name
    where = f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"
    message, expected = _explain(text, scope, detail, text.split("\n")[line - 1][column - 1 :])
    return InvalidExpression(f"{where}: {message}", expected=expected)


def _explain(text: str, scope: Scope, detail: str, rest: str) -> tuple[str, str]:
    """A sentence about the problem, and what was expected. `rest` is the line from the position on."""
    if found := _UNDECLARED.match(detail):
        if rest.startswith("("):
            return f"there is no function `{found[1]}` with these arguments", "a function of CEL"
        return f"`{found[1].partition('.')[0]}` is not known here", f"one of {', '.join(scope.value)}"
    if found := _OVERLOAD.match(detail):
        return (
            f"`{_operator(found[1])}` does not work on {found[2].replace(', ', ' and ')}",
            "operands of types that go together",
        )
    return _explain_syntax(text, detail.partition(" expecting {")[0].replace("Syntax error: ", ""))


def _explain_syntax(text: str, detail: str) -> tuple[str, str]:
    if found := _NOT_CEL.search(detail):
        symbol = found[1].strip()
        return f"`{symbol}` is not CEL here", "`==`" if symbol == "=" else "a CEL expression"
    if not text.strip():
        return "the expression is empty", "a CEL expression"
    if detail.endswith("'<EOF>'"):
        return "the expression ends too early", "its other half"
    return detail, "a CEL expression"


def _operator(name: str) -> str:
    return "? :" if name == "_?_:_" else name.strip("_@")


# --- why an expression has no value ------------------------------------------------------------------

_NO_KEY = re.compile(r"Key not found in map : \"?(.*?)\"?$")
_NO_INDEX = re.compile(r"Index error: index=(-?\d+) size=(\d+)")
_NO_OVERLOAD = re.compile(r"No matching overloads found : ([^(]+)(?:\((.*)\))?")
_CAUSES = {
    "divide by zero": "divides by zero",
    "modulus by zero": "divides by zero",
    "overflow": "is beyond 64 bits",
    "int64 range": "is beyond 64 bits",
    "Timestamp conversion": "has text that is no RFC 3339 time",
    "Duration conversion": "has text that is no duration",
    "convert string to": "has text that is no number",
    "conversion error": "has a value that can't be converted",
    "regular expression": "has a regular expression that RE2 does not accept",
    "timezone": "names a time zone that doesn't exist",
    "No value with name": "has a variable without a value here",
}


def _failure_text(outcome: Any) -> str:
    try:
        return str(outcome.plain_value())
    except TypeError:  # an optional that was not resolved
        return "optional"


def _failure(text: str, report: str) -> ExpressionFailed:
    """The library's report in words for people; nothing of the data is repeated (DESIGN section 9)."""
    if found := _NO_KEY.search(report):
        return _missing(text, found[1])
    if "Applying SELECT" in report:
        return MissingValue(f"`{text}` asks for a field of a value that has no fields")
    if found := _NO_INDEX.search(report):
        return MissingValue(f"`{text}` asks for element {found[1]} of {found[2]}")
    if report == "optional":
        return ExpressionFailed(f"`{text}` gives an optional", expected="orValue(…) at its end")
    if found := _NO_OVERLOAD.search(report):
        types = (
            f" {found[2].replace('int64', 'int').replace(', ', ' and ')}"
            if found[2]
            else " values of these types"
        )
        operator = "?" if "jump" in found[1] else _operator(found[1])
        return ExpressionFailed(f"`{text}`: `{operator}` does not work on{types}")
    cause = next((words for mark, words in _CAUSES.items() if mark in report), "has no value for this input")
    return ExpressionFailed(f"`{text}` {cause}")


def _missing(text: str, name: str) -> MissingValue:
    shown = f"no `{name}`" if name in text else "nothing under that key"
    return MissingValue(f"`{text}`: there is {shown}")


def _widened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _widened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_widened(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value
