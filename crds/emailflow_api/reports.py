"""REPORTS: what runtimes say of themselves, one message per shard and flow, written when it changes.

The owner of a shard writes, the operator reads: a flow is Ready once every shard's owner has acknowledged
its plan, and a deleted flow goes once no shard has a journey of it. Neither may write the other's part.

A report outlives who wrote it, and may come late. So it says who that was (`epochs`), and what is for good is
done by the word of whoever owns the shard now.
"""

import contextlib
from collections.abc import Iterable, Mapping

import msgspec

_FLOW = "flow."
_PROVIDER = "provider."


class FlowReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One flow on one shard. `plan` is the content hash of the FlowPlan that the owner works by."""

    plan: str
    revision: str
    journeys: dict[str, int] = {}
    """Running journeys, or ones whose mail is not settled, by revision; zeros are left out."""
    steps: dict[str, int] = {}
    """Journeys of the current revision by the step that they are at; zeros are left out."""
    pending: int = 0
    """Events that the flow's consumer has yet to look at."""
    behind_retention: int = 0
    """Events that were purged before the flow had looked at them."""
    held: dict[str, int] = {}
    """Mails that wait for something that is not there, by reason; zeros are left out."""
    epoch: int = 0
    """The first epoch of the owner who says so; 0: one that does not know of it."""


class ProviderReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One provider. `plan` is the content hash of the ProviderPlan that was looked at; `reason` and `message`
    say why it can't be used, empty: it can."""

    plan: str
    reason: str = ""
    message: str = ""


def provider_key(provider: str) -> str:
    """The key in REPORTS of a provider."""
    return f"{_PROVIDER}{provider}"


def key(shard: int, flow: str) -> str:
    """The key in REPORTS of a flow (`FlowPlan.id`) on a shard."""
    return f"{_FLOW}{shard}.{flow}"


def encode(report: FlowReport | ProviderReport) -> bytes:
    """As JSON."""
    return msgspec.json.encode(report, order="deterministic")


def read_reports(entries: Mapping[str, bytes]) -> dict[str, dict[int, FlowReport]]:
    """The reports in the bucket's entries: flow id -> shard -> report. What is no report is passed by."""
    found: dict[str, dict[int, FlowReport]] = {}
    for name, value in entries.items():
        shard, _, flow = name.removeprefix(_FLOW).partition(".")
        if not name.startswith(_FLOW) or not shard.isdigit():
            continue
        try:
            report = msgspec.json.decode(value, type=FlowReport)
        except msgspec.DecodeError:
            continue
        found.setdefault(flow, {})[int(shard)] = report
    return found


def of_owners(
    reports: Mapping[str, Mapping[int, FlowReport]], owners: Mapping[int, int]
) -> dict[str, dict[int, FlowReport]]:
    """The reports of those who own their shards now. `owners`: the first epoch of each shard's owner, as far
    as it is known; one that has reported already is known by that."""
    newest = dict(owners)
    for shards in reports.values():
        for shard, report in shards.items():
            newest[shard] = max(newest.get(shard, 0), report.epoch)
    return {
        flow: {shard: report for shard, report in shards.items() if report.epoch == newest[shard]}
        for flow, shards in reports.items()
    }


def read_provider_reports(entries: Mapping[str, bytes]) -> dict[str, ProviderReport]:
    """The reports on providers in the bucket's entries, by provider. What is no report is left out."""
    found: dict[str, ProviderReport] = {}
    for name, value in entries.items():
        if name.startswith(_PROVIDER):
            with contextlib.suppress(msgspec.DecodeError):
                found[name.removeprefix(_PROVIDER)] = msgspec.json.decode(value, type=ProviderReport)
    return found


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sums by name."""
    total: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = total.get(name, 0) + count
    return total
