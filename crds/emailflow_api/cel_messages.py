"""What the CEL library reports, in words for the author of an expression.

Some of its reports quote the data. The messages here name fields, types and positions, never values, so that
they may stand in logs, conditions and dead letters. Pure text in, an error out.
"""

import re
from collections.abc import Sequence

from emailflow_api.errors import ExpressionFailed, InvalidExpression, MissingValue

# --- what is wrong with an expression ----------------------------------------------------------------

_PROBLEM = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '([^']*)' applied to '\((.*)\)'")
_NOT_CEL = re.compile(r"(?:token recognition error at:|no viable alternative at input) '(.*)'")


def invalid(text: str, variables: Sequence[str], report: str) -> InvalidExpression:
    """Why `text` does not compile, from the library's report. `variables` are those that it may name."""
    problem = _PROBLEM.search(report)
    if problem is None:
        return InvalidExpression(report.removesuffix(" [INVALID_ARGUMENT]"), expected="a CEL expression")
    line, column, detail = int(problem[1]), int(problem[2]), problem[3].removesuffix(" [INVALID_ARGUMENT]")
    if (undeclared := _UNDECLARED.match(detail)) and "." in (name := undeclared[1]):
        column -= name.rindex(".")  # the library points at the last dot, people look for the first name
    where = f"line {line}, column {column}" if "\n" in text.strip() else f"column {column}"
    message, expected = _explain(text, variables, detail, text.split("\n")[line - 1][column - 1 :])
    return InvalidExpression(f"{where}: {message}", expected=expected)


def _explain(text: str, variables: Sequence[str], detail: str, rest: str) -> tuple[str, str]:
    """A sentence about the problem, and what was expected. `rest` is the line from the position on."""
    if found := _UNDECLARED.match(detail):
        if rest.startswith("("):
            return f"there is no function `{found[1]}` with these arguments", "a function of CEL"
        return f"`{found[1].partition('.')[0]}` is not known here", f"one of {', '.join(variables)}"
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
    "budget exceeded": "takes too many iterations",
    "bad_alloc": "takes too much memory",
}


def failed(text: str, report: str) -> ExpressionFailed:
    """The library's report in words for people; nothing of the data is repeated (DESIGN section 9)."""
    if found := _NO_KEY.search(report):
        return missing(text, found[1])
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


def missing(text: str, name: str) -> MissingValue:
    """That `text` asks for a field that is not there; the name is repeated where the text has it."""
    shown = f"no `{name}`" if name in text else "nothing under that key"
    return MissingValue(f"`{text}`: there is {shown}")
