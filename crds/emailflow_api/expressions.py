"""Expressions: CEL as the API promises it, over what Google's C++ implementation gives.

The library returns errors as values, and some of its messages quote the data; here both end as exceptions
whose messages name fields and types, never values, so that they may stand in logs. What an evaluation may
cost is bounded before it begins (ADR 0023). Which variables exist where is the table in the API reference.
Nothing here may keep an expression's result or read a clock.
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings

from emailflow_api.cel_cost.estimate import Sizes
from emailflow_api.cel_cost.limits import (
    MAX_TEXT,
    MAX_TIME_PER_INPUT,
    MAX_VALUE,
    Limited,
    check_text,
    rounded_up,
    weigh,
)
from emailflow_api.cel_messages import failed, invalid, missing
from emailflow_api.errors import ExpressionFailed, ExpressionTooCostly, InvalidExpression, MissingValue
from emailflow_api.plain_paths import PlainPath


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

    __slots__ = ("_activation", "_sizes", "_spent", "values")

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self._activation: Any = None
        self._sizes: Sizes | None = None
        self._spent = 0.0

    @property
    def sizes(self) -> Sizes:
        """How large the values are, rounded up, so that similar inputs share an estimate."""
        if self._sizes is None:
            self._sizes = Sizes(*map(rounded_up, weigh(self.values)))
        return self._sizes

    def spend(self, time: float) -> bool:
        """Whether the input has so many nanoseconds left; they are spent then."""
        if self._spent + time > MAX_TIME_PER_INPUT:
            return False
        self._spent += time
        return True

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

    __slots__ = ("_limited", "_plain", "_program", "result", "text")

    def __init__(self, text: str, result: Result, program: Any, limited: Limited) -> None:
        self.text = text
        self.result = result
        self._program = program
        self._limited = limited
        plain = PlainPath.read(text)
        compares = plain is not None and plain.comparison is not None
        self._plain = plain if compares == (result is Result.BOOL) else None

    def is_affordable(self, sizes: Sizes) -> bool:
        """Whether data of these sizes is evaluated at all."""
        return self._limited.is_affordable(sizes)

    @property
    def limited(self) -> Limited:
        """What it may cost."""
        return self._limited

    def evaluate(self, bindings: Bindings) -> Any:
        """The value: a bool, a str or a JSON value, as `result` says.

        Raises MissingValue (a field that isn't there), ExpressionTooCostly or another ExpressionFailed (wrong
        types, overflow, a result that isn't what was asked for); nothing else.
        """
        if self._plain is not None:
            try:
                value = self._plain.value(bindings.values)
            except KeyError as missed:
                raise missing(self.text, missed.args[0]) from None
            if value is not None:
                return value
        if self._limited.is_costly:
            self._afford(bindings)
        try:
            outcome = self._program.eval(bindings.activation)
            if outcome.type() == cel.Type.ERROR and _OUT_OF_RANGE.search(_report(outcome)):
                bindings.widen()
                outcome = self._program.eval(bindings.activation)
        except (RuntimeError, MemoryError) as error:
            # The library raises where its own budget of iterations ends, instead of returning an error.
            raise failed(self.text, str(error)) from None
        if outcome.type() in (cel.Type.ERROR, cel.Type.UNKNOWN):
            raise failed(self.text, _report(outcome))
        value = outcome.plain_value()
        if self.result is Result.BOOL and isinstance(value, bool):
            return value
        if self.result is Result.STRING:
            return self._as_text(value)
        if self.result is Result.ANY:
            if weigh(value).total > MAX_VALUE:
                raise ExpressionFailed(f"`{self.text}` gives a large value", expected="at most 16 KiB")
            return self._as_json(value)
        raise self._wrong_result(value)

    def _afford(self, bindings: Bindings) -> None:
        sizes = bindings.sizes
        if not (self._limited.is_affordable(sizes) and bindings.spend(self._limited.cost(sizes).time)):
            raise ExpressionTooCostly(
                f"`{self.text}` may take too long, or too much memory, for data of this size",
                expected="shorter lists and texts, or an expression without loops in loops",
            )

    def _as_text(self, value: Any) -> str:
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise ExpressionFailed(
                    f"`{self.text}` gives {len(value)} characters", expected=f"at most {MAX_TEXT}"
                )
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
    check_text(text)
    try:
        returned = _CHECKING[scope].compile(text).return_type()
        program = _RUNNING.compile(text)
    except RuntimeError as error:
        raise invalid(text, scope.value, str(error)) from None
    if result in _ALLOWED and returned not in _ALLOWED[result]:
        kind = returned.name().lower()
        raise InvalidExpression(f"`{text}` gives {kind}", expected=result.value)
    return Expression(text, result, program, Limited(text, program.serialize()))


def _report(outcome: Any) -> str:
    try:
        return str(outcome.plain_value())
    except TypeError:  # an optional that was not resolved
        return "optional"


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
