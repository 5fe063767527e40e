"""Collecting findings about one object, with paths below it. It judges nothing."""

from collections.abc import Callable
from typing import TypeVar

from emailflow_api.errors import ApiError, Finding, Severity

MOST_FINDINGS = 100
"""About one object; more help nobody, and a status has to hold them."""
_LONGEST = 500
"""Characters of a message."""
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
        self._add(Severity.ERROR, reason, path, message, expected)

    def warning(self, reason: str, path: str, message: str, expected: str = "") -> None:
        """Something that its author should know."""
        self._add(Severity.WARNING, reason, path, message, expected)

    def _add(self, severity: Severity, reason: str, path: str, message: str, expected: str) -> None:
        if len(self.findings) < MOST_FINDINGS or (severity is Severity.ERROR and not self.failed):
            short = [text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in (message, expected)]
            self.findings.append(Finding(severity, reason, self.subject, path, *short))

    def shielded(self, make: Callable[[], _T]) -> _T | None:
        """What `make` gives, or None and a finding when it fails in a way that it was not made for: one
        object that can't be compiled is that object's own condition, whatever is in it."""
        try:
            return make()
        except MemoryError:
            self.error("CompileTooLarge", "", "needs more memory to compile than there is for an object")
        except RecursionError:
            self.error("TooComplex", "", "is nested too deeply to be compiled", "fewer levels")
        except Exception as error:  # noqa: BLE001 - see above
            self.error(
                "InternalError", "", f"can't be compiled: {type(error).__name__}, a defect of EmailFlow"
            )
        return None

    def attempt(self, path: str, make: Callable[[], _T]) -> _T | None:
        """What `make` gives, or its ApiError as a finding at `path`."""
        try:
            return make()
        except ApiError as error:
            self.error(error.reason, path, str(error), error.expected)
            return None
