"""The plans of one runtime as they should be, and everything that was found on the way.

What is broken keeps its last good version, what is gone drains, what has drained goes. A version that is
not permitted any more stays in the plans too: the runtime holds it. Nothing here knows how PLANS is written.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from emailflow_api.errors import Finding, Severity
from emailflow_api.plans import Plans
from emailflow_api.plans.carried import carry_over, waits_to_leave
from emailflow_api.plans.drained import without_drained
from emailflow_api.plans.permissions import remembered, stopped
from emailflow_api.reading import Document
from emailflow_api.reports import FlowReport, ProviderReport
from emailflow_operator.reconcile.scope import RuntimeKey

Reports = Mapping[str, Mapping[int, FlowReport]]
"""Flow id -> shard -> report."""

ProviderReports = Mapping[str, ProviderReport]
"""Provider -> report."""

_NOT_SERVED = {"NotAllowed", "RuntimeNotFound"}
"""Reasons for which a flow is not this runtime's: it drains, as if it were deleted."""


class Compiled(msgspec.Struct, frozen=True):
    """What the resources say now, each finding with its subject (`Kind/namespace/name`)."""

    plans: Plans
    findings: dict[str, tuple[Finding, ...]]
    namespaces: frozenset[str] = frozenset()
    """Those that there are."""
    suspended: frozenset[str] = frozenset()
    """What says `suspend: true`, sound or not."""

    def errors(self, subject: str) -> tuple[Finding, ...]:
        """What stops this object."""
        return tuple(each for each in self.findings.get(subject, ()) if each.severity is Severity.ERROR)

    def warnings(self, subject: str) -> tuple[Finding, ...]:
        """What its author should know."""
        return tuple(each for each in self.findings.get(subject, ()) if each.severity is Severity.WARNING)


def compile_for(
    key: RuntimeKey,
    documents: Iterable[Document],
    given_up: Mapping[str, Finding],
    begin: Callable[[str], None] = lambda _: None,
) -> Compiled:
    """Compile a runtime's documents; `given_up` and `begin` are `compile_resources`'. Never raises."""
    # In the child only: the operator's own process does without the compiler and its libraries.
    from emailflow_api.compile import compile_resources

    compilation = compile_resources(documents, runtime=key, given_up=given_up, begin=begin)
    by_subject: dict[str, tuple[Finding, ...]] = {}
    for each in compilation.findings:
        by_subject[each.subject] = (*by_subject.get(each.subject, ()), each)
    return Compiled(compilation.plans, by_subject, compilation.namespaces, compilation.suspended)


def plans_in_force(
    key: RuntimeKey, compiled: Compiled, before: Plans | None, reports: Reports, at: int = 0
) -> Plans | None:
    """The plans to write: None while the runtime itself is unusable and nothing has been written yet.

    `at` is the store's time where somebody asks for it (`needs_time`). An unusable runtime keeps the plans it
    has: its flows are not to drain because of a typing error.
    """
    if compiled.errors(f"EmailRuntime/{key[0]}/{key[1]}"):
        return before
    plans = carry_over(before, compiled.plans, _broken(compiled), at=at, suspended=compiled.suspended)
    plans = remembered(before, plans, compiled.namespaces)
    strangers = {name.removeprefix("EmailFlow/") for name in compiled.findings} - compiled.plans.flows.keys()
    return without_drained(stopped(plans, strangers), reports)


def needs_time(compiled: Compiled, before: Plans | None) -> bool:
    """Whether it matters what time it is: a flow is gone since now, or is to be left after a while."""
    there = compiled.plans.flows.keys() | {each.removeprefix("EmailFlow/") for each in _broken(compiled)}
    flows = before.flows if before is not None else {}
    return any(
        name not in there and (not flow.deleted or waits_to_leave(flow)) for name, flow in flows.items()
    )


def _broken(compiled: Compiled) -> set[str]:
    return {
        subject
        for subject in compiled.findings
        if (errors := compiled.errors(subject)) and not any(each.reason in _NOT_SERVED for each in errors)
    }
