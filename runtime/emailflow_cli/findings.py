"""Findings as text for people: errors first, each with where, what, and what was expected."""

import sys
from collections.abc import Iterable

from emailflow_api.errors import Finding, Severity


def print_findings(findings: Iterable[Finding]) -> None:
    """To standard error, errors before warnings."""
    for each in sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR):
        print(f"{each.severity.value.lower()}: {each}", file=sys.stderr)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any of them stops an object."""
    return any(each.severity is Severity.ERROR for each in findings)
