"""The series that a runtime shows: names, kinds, labels, help. docs/reference/metrics.md is made from it."""

from collections.abc import Container

from prometheus_client import CollectorRegistry

from emailflow_runtime.adapters.metrics.families import Counters, Gauges, Histograms

LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Series:
    """All series on one registry. Each attribute gives the child of its labels, made once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._receivers()
        self._mails()
        self._inside()

    def keep_only(self, flows: Container[str], providers: Container[str]) -> None:
        """Show nothing any more that is labelled by another flow or provider than these."""
        for each in (self.journeys, self.flow_mails, self.behind_retention):
            each.keep_only_with("flow", flows)
        self.dead_letters.keep_only_with("origin", flows)
        for family in (
            self.mails,
            self.mail_latency,
            self.hand_over,
            self.provider_up,
            self.provider_mails,
            self.provider_places,
        ):
            family.keep_only_with("provider", providers)

    def _counter(self, name: str, text: str, *labels: str) -> Counters:
        return Counters(self._registry, name, text, labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauges:
        return Gauges(self._registry, name, text, labels)

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Histograms:
        return Histograms(self._registry, name, text, labels, bounds=bounds)

    def _receivers(self) -> None:
        counter, histogram = self._counter, self._histogram
        self.events_accepted = counter("events_accepted", "Events that receivers have stored.")
        self.events_refused = counter("events_refused", "Events that receivers have refused.", "reason")
        self.accept_seconds = histogram(
            "event_accept_seconds", "From an event at a receiver to its place on disk.", SHORT
        )
        self.dead_letters = counter(
            "dead_letters", "Dead letters kept, by flow or `_receiver`.", "reason", "origin"
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
        held = "Mails that wait for something that is not there: a policy, a provider, a Secret."
        self.held_mails = self._gauge("held_mails", held, "flow", "reason")
        self._lanes()
        self.render_seconds = histogram("render_seconds", "Rendering of one mail.", SHORT, "result")

    def _lanes(self) -> None:
        gauge = self._gauge
        self.provider_up = gauge("provider_up", "0 while this process leaves the provider alone.", "provider")
        self.provider_mails = gauge(
            "provider_mails",
            "Mails in a provider's lane: `waiting` for a place, or `under_way`.",
            "provider",
            "state",
        )
        self.provider_places = gauge(
            "provider_places", "Mails that may be on their way to the provider at once.", "provider"
        )

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
            "log_fill_ratio", "Share of its bound that EVENTS occupies; receivers close at 0.9."
        )
        self.relay_backlog = gauge("relay_backlog_facts", "Facts that are not in EVENTS yet.", "shard")
        self.shard_owned = gauge("shard_owned", "1 while this process decides for the shard.", "shard")
        self.commit_under_way = gauge(
            "commit_under_way_seconds", "Age of the commit to STATE that is under way; 0: none is.", "shard"
        )
        began = (
            "Shards that this process has begun to own, by how the owner before ended: `clean`, `unclean`."
        )
        self.shard_takeovers = self._counter("shard_takeovers", began, "shard", "end")
        taken = "From the epoch of a new owner to its first decisions."
        self.takeover_seconds = histogram("shard_takeover_seconds", taken, LATENCY)
        self.shards_lost = self._counter(
            "shards_lost", "Shards that were somebody else's all at once.", "shard"
        )
        self.nats_connected = gauge("nats_connected", "1 while the connection to NATS is up.")


def reference() -> str:
    """The reference page."""
    registry = CollectorRegistry()
    made = vars(Series(registry)).values()
    families = [each for each in made if isinstance(each, Counters | Histograms)]
    lines = [
        "# Metrics",
        "",
        "A runtime shows these at `/metrics` of its admin port, `emailflow dev` at `/metrics` of its HTTP",
        "port. Labels are names from manifests and [reasons](reasons.md); none names a person. Besides these",
        "there are the usual `process_…` and `python_…` series. What is labelled by a flow or a provider",
        "goes with it, and begins at 0 when one of that name comes again.",
        "",
        "| name | kind | labels | what |",
        "|---|---|---|---|",
    ]
    for family in sorted(families, key=lambda each: each.name):
        suffix = "_total" if family.kind == "counter" else ""
        labels = ", ".join(f"`{label}`" for label in family.labels)
        lines.append(f"| `{family.name}{suffix}` | {family.kind} | {labels} | {family.text} |")
    return "\n".join(lines) + "\n"
