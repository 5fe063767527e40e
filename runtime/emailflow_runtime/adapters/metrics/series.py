"""The series that a runtime shows: names, kinds, labels, help. docs/reference/metrics.md is made from it."""

from collections.abc import Container
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Children:
    """A metric's children by their labels, remembered: the library looks each one up under a lock."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._known: dict[tuple[str, ...], Any] = {} if metric._labelnames else {(): metric}

    def __call__(self, *labels: str) -> Any:
        """The child of these labels."""
        found = self._known.get(labels)
        if found is None:
            found = self._known[labels] = self._metric.labels(*labels)
        return found

    def keep_only(self, labels: Container[tuple[str, ...]]) -> None:
        """Show no other children than these."""
        for gone in [each for each in self._known if each not in labels]:
            self._metric.remove(*gone)
            del self._known[gone]


class Series:
    """All series on one registry. Each attribute gives the child of its labels, made once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._doors()
        self._mails()
        self._inside()

    def _counter(self, name: str, help_: str, *labels: str) -> Children:
        return Children(Counter(name, help_, labels, namespace="emailflow", registry=self._registry))

    def _gauge(self, name: str, help_: str, *labels: str) -> Children:
        return Children(Gauge(name, help_, labels, namespace="emailflow", registry=self._registry))

    def _histogram(self, name: str, help_: str, buckets: tuple[float, ...], *labels: str) -> Children:
        made = Histogram(name, help_, labels, namespace="emailflow", registry=self._registry, buckets=buckets)
        return Children(made)

    def _doors(self) -> None:
        counter, histogram = self._counter, self._histogram
        self.events_accepted = counter("events_accepted", "Events that doors have stored.")
        self.events_refused = counter("events_refused", "Events that doors have refused.", "reason")
        self.accept_seconds = histogram(
            "event_accept_seconds", "From an event at a door to its place on disk.", SHORT
        )
        self.dead_letters = counter(
            "dead_letters", "Dead letters kept, by flow or `_door`.", "reason", "origin"
        )

    def _mails(self) -> None:
        counter, histogram = self._counter, self._histogram
        self.journeys = counter(
            "journeys", "Journeys that entered, completed or exited, by flow.", "flow", "what"
        )
        what = "What became of mails: accepted, deferred, skipped, failed, unknown."
        self.mails = counter("mails", f"{what} No provider: not called.", "outcome", "provider", "reason")
        self.flow_mails = counter("flow_mails", "What became of mails, by flow.", "flow", "outcome")
        asked = "From the event or timer that asked for a mail to the provider's acceptance."
        self.mail_latency = histogram("mail_latency_seconds", asked, LATENCY, "provider")
        answered = "From an intent on its way to disk to what the provider said."
        self.hand_over = histogram("hand_over_seconds", answered, LATENCY, "provider")
        self.timer_lateness = histogram(
            "timer_lateness_seconds", "From the moment a wait was due to its decision.", LATENCY
        )
        self.render_seconds = histogram("render_seconds", "Rendering of one mail.", SHORT, "result")

    def _inside(self) -> None:
        gauge, histogram = self._gauge, self._histogram
        self.commit_seconds = histogram("commit_seconds", "Group commits to STATE.", SHORT)
        self.commit_changes = histogram("commit_changes", "Changes in one commit to STATE.", SIZES)
        self.append_seconds = histogram("append_seconds", "Appends to EVENTS.", SHORT)
        self.append_events = histogram("append_events", "Events in one append to EVENTS.", SIZES)
        self.flow_lag = gauge("flow_lag_events", "Events that a flow has yet to decide on.", "flow", "shard")
        lost = "Events that were purged before a flow had looked at them."
        self.behind_retention = gauge("flow_behind_retention_events", lost, "flow")
        self.log_fill = gauge(
            "log_fill_ratio", "Share of its bound that EVENTS occupies; doors close at 0.9."
        )
        self.relay_backlog = gauge("relay_backlog_facts", "Facts that are not in EVENTS yet.", "shard")
        self.shard_owned = gauge("shard_owned", "1 while this process decides for the shard.", "shard")
        self.nats_connected = gauge("nats_connected", "1 while the connection to NATS is up.")


def reference() -> str:
    """The reference page."""
    registry = CollectorRegistry()
    Series(registry)
    lines = [
        "# Metrics",
        "",
        "A runtime shows these at `/metrics` of its admin port, `emailflow dev` at `/metrics` of its HTTP",
        "port. Labels are names from manifests and [reasons](reasons.md); none names a person. Besides these",
        "there are the usual `process_…` and `python_…` series.",
        "",
        "| name | kind | labels | what |",
        "|---|---|---|---|",
    ]
    for family in sorted(registry.collect(), key=lambda each: each.name):
        suffix = "_total" if family.type == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in _labels(registry, family.name))
        lines.append(f"| `{family.name}{suffix}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


def _labels(registry: CollectorRegistry, name: str) -> tuple[str, ...]:
    collector: Any = registry._names_to_collectors[name]
    labels: tuple[str, ...] = collector._labelnames
    return labels
