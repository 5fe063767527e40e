"""The one exception root of this package, and the findings that `compile` and `lint` collect.

Nothing here may raise on its own: errors are data first, so that all of them are shown at once.
"""

from enum import Enum
from typing import NamedTuple


class ApiError(Exception):
    """Root of all errors of `emailflow_api`. `reason` is CamelCase and stable."""

    reason = "InvalidResource"

    def __init__(self, message: str, *, path: str = "", expected: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.expected = expected


class InvalidDuration(ApiError):
    """A duration that is not ISO 8601, or uses a unit that the field does not allow."""

    reason = "InvalidDuration"


class InvalidExpression(ApiError):
    """A CEL expression that does not parse or type-check."""

    reason = "InvalidExpression"


class ExpressionFailed(ApiError):
    """A CEL expression that compiled, but has no value for this input (a missing field, an overflow)."""

    reason = "ExpressionFailed"


class MissingValue(ExpressionFailed):
    """The expression asks for a field that this input does not have, or where text is needed it has null."""

    reason = "MissingValue"


class ExpressionTooCostly(ExpressionFailed):
    """The expression may take too much time or memory for data of this size, so it is not evaluated."""

    reason = "ExpressionTooCostly"


class InvalidYaml(ApiError):
    """Text that is not YAML as the Kubernetes API machinery reads it."""

    reason = "InvalidYaml"


class Severity(Enum):
    """How much a finding weighs: an error stops the object, a warning does not."""

    ERROR = "Error"
    WARNING = "Warning"


class Finding(NamedTuple):
    """One thing that is wrong with one object.

    `subject` is `Kind/namespace/name`, `path` a JSON path below the object (`spec.steps[2].send.to`),
    `message` says what is there, `expected` what should be. `position` is `file:line` of the object where
    that is known.
    """

    severity: Severity
    reason: str
    subject: str
    path: str
    message: str
    expected: str = ""
    position: str = ""

    def __str__(self) -> str:
        expected = f" (expected {self.expected})" if self.expected else ""
        position = f"{self.position}: " if self.position else ""
        return f"{position}{self.subject}: {self.path}: {self.message}{expected} [{self.reason}]"
