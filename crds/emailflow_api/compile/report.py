"""Collecting findings about one object, with paths below it. It judges nothing."""

from collections.abc import Callable
from typing import TypeVar

from emailflow_api.errors import ApiError, Finding, Severity

_T = TypeVar("_T")


class Report:
    """The findings about one object; `failed` once there is an error among them."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.findings: list[Finding] = []

    @property
    def failed(self) -> bool:
        """Whether the object can't be compiled."""
        return any(each.severity is Severity.ERROR for each in self.findings)

    def error(self, reason: str, path: str, message: str, expected: str = "") -> None:
        """Something that stops the object."""
        self.findings.append(Finding(Severity.ERROR, reason, self.subject, path, message, expected))

    def warning(self, reason: str, path: str, message: str, expected: str = "") -> None:
        """Something that its author should know."""
        self.findings.append(Finding(Severity.WARNING, reason, self.subject, path, message, expected))

    def attempt(self, path: str, make: Callable[[], _T]) -> _T | None:
        """What `make` gives, or its ApiError as a finding at `path`."""
        try:
            return make()
        except ApiError as error:
            self.error(error.reason, path, str(error), error.expected)
            return None
