"""Alerts and the dashboard ask for series that there are, by labels that these have."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client import CollectorRegistry
from tests.unit.chart.conftest import CHART, Rendered

from emailflow_operator.control.measures import Measures
from emailflow_runtime.adapters.metrics.series import Series

LABELS = {"emailflow_dev_runtime"}


def shown() -> set[str]:
    """All names that a runtime or an operator shows."""
    registry = CollectorRegistry()
    Series(registry)
    names = set()
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(
            family.type, ("",)
        )
        names |= {family.name + suffix for suffix in suffixes}
    return names | set(re.findall(r"^(emailflow_operator_\w+)", Measures().text(), re.MULTILINE))


def asked(text: str) -> set[str]:
    return set(re.findall(r"\bemailflow_[a-z_]+", text)) - LABELS


def alerts() -> Iterator[dict[str, str]]:
    for group in yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"]:
        yield from group["rules"]


def test_alerts_ask_for_series_that_there_are() -> None:
    names = shown()
    for alert in alerts():
        found = asked(alert["expr"])
        assert found, alert["alert"]
        assert found <= names, alert["alert"]


@pytest.mark.parametrize(
    "series",
    [
        "emailflow_shard_owned",
        "emailflow_nats_connected",
        "emailflow_provider_up",
        'emailflow_shard_takeovers_total{end="unclean"}',
        "emailflow_shard_takeovers_total",
    ],
)
def test_there_is_an_alert_for_what_keeps_mails_from_going_out(series: str) -> None:
    asking = [each["expr"] for each in alerts() if re.search(rf"{re.escape(series)}(?!\{{)", each["expr"])]
    assert asking, series


def test_prometheus_takes_the_alerts() -> None:
    promtool = shutil.which(os.environ.get("PROMTOOL") or "promtool")
    if promtool is None:
        pytest.skip("there is no promtool: neither PROMTOOL nor the PATH leads to one")
    command = [promtool, "check", "rules", str(CHART / "files/alerts.yaml")]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert f"SUCCESS: {len(list(alerts()))} rules" in answer.stdout


def test_the_dashboard_asks_for_series_that_there_are() -> None:
    dashboard = json.loads((CHART / "files/dashboard.json").read_text())
    names = shown()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert asked(target["expr"]), panel["title"]
            assert asked(target["expr"]) <= names, panel["title"]


def test_what_an_alert_says_uses_labels_that_its_expression_keeps() -> None:
    for alert in alerts():
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", alert["expr"]))))
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(alert)))
        assert said <= kept, alert["alert"]


def test_alerts_and_dashboard_are_rendered_as_they_are(everything: Rendered) -> None:
    [rule] = everything.all("PrometheusRule")
    assert [each["alert"] for group in rule["spec"]["groups"] for each in group["rules"]] == [
        each["alert"] for each in alerts()
    ]
    shipped = everything.one("ConfigMap", "emailflow-dashboard")["data"]["emailflow.json"]
    assert json.loads(shipped) == json.loads((CHART / "files/dashboard.json").read_text())
    assert (
        everything.one("ConfigMap", "emailflow-dashboard")["metadata"]["labels"]["grafana_dashboard"] == "1"
    )


def test_runtime_pods_are_found_where_the_operator_makes_them(everything: Rendered) -> None:
    from emailflow_operator.reconcile.children.labels import labels

    [monitor] = everything.all("PodMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels("default").items()
    assert set(monitor["spec"]["podTargetLabels"]) <= labels("default").keys()
