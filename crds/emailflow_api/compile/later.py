"""What the API declares and this version does not do yet: the one table, which shrinks with every release.

What would misbehave if it were ignored is an error; what is only not enforced yet is a warning.
"""

from emailflow_api.compile.report import Report

NOT_SUPPORTED_YET = "NotSupportedYet"
STEPS = ("wait_for", "split", "set", "emit")
"""Actions of a step, by attribute."""


def refuse(report: Report, path: str, what: str, instead: str = "") -> None:
    """This can't be ignored: people would get the wrong mail."""
    report.error(NOT_SUPPORTED_YET, path, f"{what} is part of the API, but not supported yet", instead)


def warn(report: Report, path: str, what: str) -> None:
    """This is kept, but has no effect yet."""
    report.warning(NOT_SUPPORTED_YET, path, f"{what} has no effect yet")
