"""What the API declares and this version does not do yet: the one table, which shrinks with every release.

What would misbehave if it were ignored is an error; what is only not enforced yet is a warning.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from emailflow_api.compile.report import Report
from emailflow_api.errors import Severity

NOT_SUPPORTED_YET = "NotSupportedYet"


class Later(NamedTuple):
    """One thing that comes later: where it stands, whether a spec says it, and what works instead."""

    severity: Severity
    path: str
    said: Callable[[Any], Any]
    what: str
    instead: str = ""


STEPS = {"wait_for": "waitFor", "split": "split", "set": "set", "emit": "emit"}
"""Actions of a step: attribute -> member."""
STEPS_INSTEAD = "send, wait, branch or end"

FLOW = (
    Later(
        Severity.ERROR,
        "spec.revisionPolicy",
        lambda spec: spec.revision_policy != "Pin",
        "a revisionPolicy other than Pin",
        "Pin",
    ),
    Later(
        Severity.ERROR,
        "spec.templates",
        lambda spec: spec.templates != "Current",
        "templates: Pinned",
        "Current",
    ),
)
MIGRATE = Later(
    Severity.WARNING,
    "spec.migrate",
    lambda spec: spec.migrate and spec.revision_policy != "Migrate",
    "migrate without `revisionPolicy: Migrate`",
)
TEMPLATE = (Later(Severity.WARNING, "spec.tracking", lambda spec: spec.tracking, "tracking"),)
PROVIDER = (
    Later(
        Severity.ERROR, "spec.type", lambda spec: spec.smtp is None, "a provider type other than Smtp", "Smtp"
    ),
    Later(Severity.WARNING, "spec.failover", lambda spec: spec.failover, "failover"),
    Later(Severity.WARNING, "spec.rate.warmup", lambda spec: spec.rate.warmup, "warmup"),
    Later(Severity.WARNING, "spec.feedback", lambda spec: spec.feedback, "feedback"),
)
POLICY = (
    Later(Severity.WARNING, "spec.priority", lambda spec: spec.priority, "a priority"),
    Later(Severity.WARNING, "spec.tracking", lambda spec: spec.tracking, "tracking"),
    Later(Severity.WARNING, "spec.complaints", lambda spec: spec.complaints, "complaints"),
    Later(Severity.WARNING, "spec.title", lambda spec: spec.title, "a title"),
    Later(
        Severity.WARNING,
        "spec.consent",
        lambda spec: spec.consent == "DoubleOptIn",
        "asking for confirmation: DoubleOptIn counts like OptIn, so it",
    ),
)
RUNTIME = (Later(Severity.WARNING, "spec.readModel", lambda spec: spec.read_model, "a read model"),)


def check(report: Report, table: tuple[Later, ...], spec: Any, *, caught: bool = False) -> None:
    """Report what the spec says of the table. Where mails are only `caught`, nothing can go wrong by it, so
    what would be an error is a warning."""
    for row in table:
        if not row.said(spec):
            continue
        if row.severity is Severity.WARNING:
            report.warning(NOT_SUPPORTED_YET, row.path, f"{row.what} has no effect yet")
        elif caught:
            message = f"{row.what} is not supported yet: its mails are caught here, a cluster refuses it"
            report.warning(NOT_SUPPORTED_YET, row.path, message, row.instead)
        else:
            refuse(report, row.path, row.what, row.instead)


def refuse(report: Report, path: str, what: str, instead: str) -> None:
    """This can't be ignored: people would get the wrong mail."""
    report.error(NOT_SUPPORTED_YET, path, f"{what} is part of the API, but not supported yet", instead)
