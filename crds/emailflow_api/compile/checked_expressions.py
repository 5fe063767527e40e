"""Expressions of one place in a resource: its scope, and the types that its events may have."""

from collections.abc import Mapping, Sequence
from typing import Any

from emailflow_api.cel_cost.limits import LARGE
from emailflow_api.compile.contracts import unknown_paths
from emailflow_api.compile.report import Report
from emailflow_api.expressions import Result, Scope, compile_expression

Schemas = Mapping[str, Any]
"""JSON Schemas of the contracts, by CloudEvents type."""


class CheckedExpressions:
    """Compiles the expressions of one place; what is wrong or doubtful with them is in the report."""

    def __init__(
        self,
        report: Report,
        scope: Scope,
        schemas: Schemas,
        *,
        event: Sequence[str] = (),
        trigger: Sequence[str] = (),
    ) -> None:
        """`event` and `trigger`: the types that these may have; empty when that isn't known."""
        self.report = report
        self._scope = scope
        self._schemas = schemas
        self._types = {"event": event, "trigger": trigger}

    def about(self, event: Sequence[str]) -> "CheckedExpressions":
        """The same place, where `event` is of one of these types."""
        trigger = self._types["trigger"]
        return CheckedExpressions(self.report, self._scope, self._schemas, event=event, trigger=trigger)

    def condition(self, path: str, text: str | None) -> str:
        """The text of a condition if it compiles, else empty."""
        return self._checked(path, text, Result.BOOL)

    def text(self, path: str, text: str | None) -> str:
        """The text of an expression that gives text if it compiles, else empty."""
        return self._checked(path, text, Result.STRING)

    def value(self, path: str, text: str | None) -> str:
        """The text of an expression that gives any JSON value if it compiles, else empty."""
        return self._checked(path, text, Result.ANY)

    def _checked(self, path: str, text: str | None, result: Result) -> str:
        if not text:
            return ""
        compiled = self.report.attempt(path, lambda: compile_expression(text, self._scope, result))
        if compiled is None:
            return ""
        if not compiled.is_affordable(LARGE):
            self.report.warning(
                "ExpressionTooCostly",
                path,
                f"`{text}` has no value for large events, since it may take too long for them",
                f"a cost for lists of {LARGE.items} and texts of {LARGE.text} that is within the limit",
            )
        for unknown in unknown_paths(text, self._types, self._schemas):
            self.report.warning(
                "UnknownPath", path, f"`{unknown.path}` is in no EventType's schema", unknown.known
            )
        return text
