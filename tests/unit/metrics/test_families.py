"""What Prometheus reads of counts: its own parser understands it, and histograms add up."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from emailflow_runtime.adapters.metrics.families import Counters, Gauges, Histograms


@pytest.fixture
def registry():
    return CollectorRegistry()


def read(registry):
    text = generate_latest(registry).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_histogram_cumulates_its_buckets(registry):
    seen = Histograms(registry, "wait_seconds", "x", (), bounds=(0.1, 1, 5))
    for value in (0.05, 0.1, 0.5, 7):
        seen().observe(value)

    found = read(registry)

    assert [found["emailflow_wait_seconds_bucket", ("le", le)] for le in ("0.1", "1.0", "5.0", "+Inf")] == [
        2,
        3,
        3,
        4,
    ]
    assert found["emailflow_wait_seconds_count",] == 4
    assert found["emailflow_wait_seconds_sum",] == pytest.approx(7.65)


def test_counters_are_told_apart_by_their_labels(registry):
    mails = Counters(registry, "mails", "x", ("outcome",))
    mails("accepted").inc()
    mails("accepted").inc()
    mails('odd "one"\\').inc()

    assert read(registry) == {
        ("emailflow_mails_total", ("outcome", "accepted")): 2,
        ("emailflow_mails_total", ("outcome", 'odd "one"\\')): 1,
    }


def test_what_has_no_labels_is_shown_before_it_is_counted(registry):
    Counters(registry, "events", "x", ())

    assert read(registry) == {("emailflow_events_total",): 0}


def test_a_gauge_that_is_not_kept_is_gone(registry):
    lag = Gauges(registry, "lag", "x", ("flow",))
    lag("a").set(1)
    lag("b").set(2)
    lag.keep_only({("b",)})

    assert read(registry) == {("emailflow_lag", ("flow", "b")): 2}


def test_a_name_is_taken_once(registry):
    Counters(registry, "events", "x", ())

    with pytest.raises(ValueError, match="Duplicated"):
        Counters(registry, "events", "x", ())
