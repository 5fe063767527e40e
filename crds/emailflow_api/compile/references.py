"""References that lead nowhere, each kind with a reason of its own."""

from collections.abc import Iterable
from difflib import get_close_matches

from emailflow_api.compile.report import Report

REASONS = {
    "EmailTemplate": "TemplateNotFound",
    "EmailProvider": "ProviderNotFound",
    "ContactPolicy": "PolicyNotFound",
}


def not_found(report: Report, kind: str, path: str, name: str, usable: Iterable[str]) -> None:
    """Report a reference to an object that is not there, or that has errors itself."""
    names = sorted(usable)
    close = get_close_matches(name, names, n=1)
    expected = close[0] if close else ", ".join(names)
    report.error(REASONS[kind], path, f"there is no usable {kind} `{name}`", expected)
