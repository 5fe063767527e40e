"""Metrics: the watcher that counts facts, and the page that Prometheus reads."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from emailflow_api.jetstream.naming import reader_name
from emailflow_runtime.adapters.metrics.series import Series
from emailflow_runtime.app.lanes import LaneState
from emailflow_runtime.app.sender import START_WITHIN
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.journey import Journey

SECOND = 1_000_000_000


_JOURNEY: dict[type, str] = {f.Entered: "entered", f.Completed: "completed", f.Exited: "exited"}
_OUTCOME: dict[type, str] = {
    f.MailAccepted: "accepted",
    f.MailDeferred: "deferred",
    f.MailSkipped: "skipped",
    f.MailFailed: "failed",
    f.MailUnknown: "unknown",
}


class FlowLag(NamedTuple):
    """How many events a flow (`FlowPlan.id`) has yet to decide on, on one shard."""

    flow: str
    shard: int
    events: int


class Declared(NamedTuple):
    """What there is now: flows by `FlowPlan.id`, providers by name."""

    flows: Iterable[str]
    providers: Iterable[str]


class _Readers(set[str]):
    """Flows by name; the readers that belong to the runtime itself are always there."""

    def __contains__(self, reader: object) -> bool:
        return super().__contains__(reader) or str(reader).startswith("_")


class Metrics:
    """A Telemetry. `lags` is asked at each scrape, `lanes`, `connected`, `committing` and `declared` too.

    What is labelled by a flow or a provider goes with it: alerts on it would stay, and names would add up.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.series = Series(self.registry)
        self.lags: Callable[[], Awaitable[Iterable[FlowLag]]] | None = None
        self.connected: Callable[[], bool] | None = None
        self.lanes: Callable[[], Iterable[LaneState]] | None = None
        self.declared: Callable[[], Declared] | None = None
        self.committing: Callable[[], Mapping[int, float]] | None = None
        self._backlogs: dict[int, Callable[[], int]] = {}
        self._held: dict[int, Callable[[], Mapping[tuple[str, str], int]]] = {}

    async def page(self) -> bytes:
        """All series in Prometheus' text format, gauges asked for now."""
        series = self.series
        if self.connected is not None:
            series.nats_connected().set(self.connected())
        for shard, backlog in self._backlogs.items():
            series.relay_backlog(str(shard)).set(backlog())
        if self.committing is not None:
            under_way = {(str(shard),): seconds for shard, seconds in self.committing().items()}
            series.commit_under_way.keep_only(under_way)
            for (shard_label,), seconds in under_way.items():
                series.commit_under_way(shard_label).set(seconds)
        self._show_held()
        if self.lanes is not None:
            self._show_lanes(self.lanes())
        if self.lags is not None:
            found = {(_name(lag.flow), str(lag.shard)): lag.events for lag in await self.lags()}
            series.flow_lag.keep_only(found)
            for labels, events in found.items():
                series.flow_lag(*labels).set(events)
        if self.declared is not None:
            flows, providers = self.declared()
            # Mails that no provider was called for name none.
            series.keep_only(_Readers(map(_name, flows)), {*providers, ""})
        return generate_latest(self.registry)

    def _show_held(self) -> None:
        counts: dict[tuple[str, str], int] = {}
        for held in self._held.values():
            for (flow, reason), count in held().items():
                labels = _name(flow), reason
                counts[labels] = counts.get(labels, 0) + count
        self.series.held_mails.keep_only(counts)
        for labels, count in counts.items():
            self.series.held_mails(*labels).set(count)

    def _show_lanes(self, lanes: Iterable[LaneState]) -> None:
        for lane in lanes:
            self.series.provider_up(lane.provider).set(lane.closed)
            self.series.provider_places(lane.provider).set(lane.places)
            self.series.provider_mails(lane.provider, "waiting").set(lane.waiting)
            self.series.provider_mails(lane.provider, "under_way").set(lane.under_way)

    def taken_over(self, shard: int, *, clean: bool, seconds: float) -> None:
        """See Telemetry."""
        self.series.shard_takeovers(str(shard), "clean" if clean else "unclean").inc()
        self.series.takeover_seconds().observe(seconds)

    def lost(self, shard: int) -> None:
        """See Telemetry."""
        self.series.shards_lost(str(shard)).inc()

    def owned(self, shard: int, *, held: bool) -> None:
        """See Telemetry."""
        self.series.shard_owned(str(shard)).set(held)
        if not held:
            self._held.pop(shard, None)

    def relaying(self, shard: int, backlog: Callable[[], int]) -> None:
        """See Telemetry."""
        self._backlogs[shard] = backlog

    def holding(self, shard: int, held: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """See Telemetry."""
        self._held[shard] = held

    def behind_retention(self, flow: str, events: int) -> None:
        """So many events have been purged before this flow had looked at them."""
        self.series.behind_retention(_name(flow)).set(events)

    def folded(self, before: Journey | None, after: Journey, fact: f.Fact) -> None:
        """See Telemetry."""
        kind = type(fact)
        if (what := _JOURNEY.get(kind)) is not None:
            self.series.journeys(_name(after.flow), what).inc()
        if (outcome := _OUTCOME.get(kind)) is not None:
            self._mail(before, fact, outcome, _name(after.flow))
        elif before is not None and before.wake_at and kind is not f.Exited:
            self._woken(before, fact.at)

    def _woken(self, before: Journey, at: int) -> None:
        if before.timer and 0 < before.wake_at <= at:
            self.series.timer_lateness().observe((at - before.wake_at) / SECOND)

    def _mail(self, before: Journey | None, fact: f.Fact, outcome: str, flow: str) -> None:
        mail = before.mail if before is not None else None
        attempted = mail is not None and mail.status == "Attempted"
        provider = mail.provider if mail is not None and attempted else ""
        self.series.mails(outcome, provider, getattr(fact, "reason", "")).inc()
        self.series.flow_mails(flow, outcome).inc()
        if mail is None or not attempted:
            return
        intended = mail.start_by - START_WITHIN * SECOND
        self.series.hand_over(provider).observe(max(0, fact.at - intended) / SECOND)
        if outcome == "accepted":
            self.series.mail_latency(provider).observe(max(0, fact.at - mail.due) / SECOND)


_name = lru_cache(maxsize=4096)(reader_name)
