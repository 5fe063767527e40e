"""What the operator counts of itself, as Prometheus reads it. No object's name is a label."""

from collections.abc import Iterator

SECONDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0)


class Measures:
    """Counters and gauges; `text` is what /metrics answers."""

    def __init__(self) -> None:
        self.passes = {"success": 0, "error": 0}
        self.pass_seconds = 0.0
        self.status_writes = 0
        self.children_applied = 0
        self.surveys = 0
        self.missed_changes = 0
        self.objects = 0
        self.workers = 0
        self.leader = 0
        self._buckets = dict.fromkeys(SECONDS, 0)

    def passed(self, seconds: float, *, failed: bool) -> None:
        """A pass of a worker has ended."""
        self.passes["error" if failed else "success"] += 1
        self.pass_seconds += seconds
        for bound in SECONDS:
            self._buckets[bound] += seconds <= bound

    def text(self) -> str:
        """In Prometheus' text format."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield "# TYPE emailflow_operator_reconcile_total counter"
        for result, count in self.passes.items():
            yield f'emailflow_operator_reconcile_total{{result="{result}"}} {count}'
        yield "# TYPE emailflow_operator_reconcile_seconds histogram"
        total = sum(self.passes.values())
        for bound, count in (*self._buckets.items(), ("+Inf", total)):
            yield f'emailflow_operator_reconcile_seconds_bucket{{le="{bound}"}} {count}'
        yield f"emailflow_operator_reconcile_seconds_sum {self.pass_seconds:.6f}"
        yield f"emailflow_operator_reconcile_seconds_count {total}"
        for name, kind, value in (
            ("status_writes_total", "counter", self.status_writes),
            ("children_applied_total", "counter", self.children_applied),
            ("surveys_total", "counter", self.surveys),
            ("watch_missed_total", "counter", self.missed_changes),
            ("objects", "gauge", self.objects),
            ("workers", "gauge", self.workers),
            ("leader", "gauge", self.leader),
        ):
            yield f"# TYPE emailflow_operator_{name} {kind}"
            yield f"emailflow_operator_{name} {value}"
