"""Values: unknown ones are refused, each is documented, and what they say arrives."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.chart.conftest import CHART, Helm, Rendered

from emailflow_api.jetstream.topology import streams
from emailflow_api.plans import RuntimePlan


def paths(node: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all maps in values.yaml that have named keys, and of all keys."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from paths(value, f"{prefix}{key}.")


def schema_paths(schema: dict[str, Any], node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The paths that the schema names."""
    if "$ref" in node:
        node = schema["definitions"][node["$ref"].rpartition("/")[2]]
    for key, value in node.get("properties", {}).items():
        yield f"{prefix}{key}"
        yield from schema_paths(schema, value, f"{prefix}{key}.")


VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def closed_maps(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The maps in the schema with keys of the chart's own."""
    if "$ref" in node:
        node = SCHEMA["definitions"][node["$ref"].rpartition("/")[2]]
    if "properties" in node:
        yield prefix
        for key, value in node["properties"].items():
            yield from closed_maps(value, f"{prefix}{key}.")


@pytest.mark.parametrize("path", list(closed_maps(SCHEMA)), ids=lambda path: path or "at the top")
def test_an_unknown_key_is_refused(helm: Helm, path: str) -> None:
    assert "tpyo" in helm.refusal(f"{path}tpyo=1")


def test_the_schema_and_the_defaults_name_the_same_values() -> None:
    free = ("operator.resources", "nats.resources", "metrics.dashboard.labels")
    named = set(schema_paths(SCHEMA, SCHEMA)) - {"global"}
    given = set(paths(VALUES))
    below = {path for path in named | given if path.startswith(tuple(f"{each}." for each in free))}
    below |= {path for path in named if path.startswith("webhooks.certificates.issuerRef.")}
    assert named - below == given - below


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nats.replicas=2", "nats/replicas"),
        ("operator.replicas=-1", "operator/replicas"),
        ("webhooks.failurePolicy=Maybe", "webhooks/failurePolicy"),
        ("image.digest=latest", "image/digest"),
        ("nats.url=http://nats", "nats/url"),
        ("nats.persistence.size=lots", "nats/persistence/size"),
        ("webhooks.certificates.mode=Secret", "webhooks/certificates"),
        ("operator.extraEnv[0].name=POD_NAME", "operator/extraEnv"),
        ("metrics.serviceMonitor.interval=often", "metrics/serviceMonitor/interval"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(helm: Helm, value: str, said: str) -> None:
    assert said in helm.refusal(value)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("1Gi", 966367641),
        ("512Mi", 483183820),
        ("1500M", 1350000000),
        ("2G", 1800000000),
        ("1.5Gi", 1449551462),
    ],
)
def test_nats_keeps_its_memory_below_its_limit(helm: Helm, limit: str, expected: int) -> None:
    [nats] = helm(f"nats.resources.limits.memory={limit}").all("StatefulSet")
    environment = {each["name"]: each for each in nats["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["GOMEMLIMIT"]["value"] == str(expected)


def test_images_are_by_value_and_a_digest_counts(helm: Helm) -> None:
    digest = "sha256:" + "a" * 64
    rendered = helm("image.repository=r.example/e", f"image.digest={digest}", "nats.image.tag=2.15.3")
    [operator] = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    assert operator["image"] == f"r.example/e@{digest}"
    environment = {each["name"]: each.get("value") for each in operator["env"]}
    assert environment["EMAILFLOW_IMAGE"] == operator["image"]
    [nats] = rendered.all("StatefulSet")
    assert nats["spec"]["template"]["spec"]["containers"][0]["image"] == "nats:2.15.3"


def nats_url(rendered: Rendered) -> list[str]:
    [operator] = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    return [each for each in operator["args"] if each.startswith("--nats-url")]


def test_the_operator_hears_of_the_nats_that_there_is(helm: Helm, defaults: Rendered) -> None:
    assert nats_url(defaults) == ["--nats-url=nats://emailflow-nats.mail-system.svc:4222"]
    without = helm("nats.enabled=false")
    assert nats_url(without) == []
    assert "StatefulSet" not in without.kinds()
    assert nats_url(helm("nats.enabled=false", "nats.url=tls://nats.example:4222")) == [
        "--nats-url=tls://nats.example:4222"
    ]


def test_extra_objects_may_be_maps_or_templates(helm: Helm) -> None:
    rendered = helm(
        "extraObjects[0].apiVersion=v1",
        "extraObjects[0].kind=ConfigMap",
        "extraObjects[0].metadata.name=first",
        "extraObjects[1]=apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-2' }\n",
    )
    assert rendered.one("ConfigMap", "first")
    assert rendered.one("ConfigMap", "emailflow-2")


def test_what_is_optional_is_off(defaults: Rendered, everything: Rendered) -> None:
    optional = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "Certificate", "Issuer"}
    assert not optional & defaults.kinds()
    assert optional <= everything.kinds()


@pytest.mark.parametrize("file", sorted((CHART / "ci").glob("*-values.yaml")), ids=lambda file: file.stem)
def test_the_values_for_chart_testing_render(helm: Helm, file: Path) -> None:
    assert "Deployment" in helm(str(file)).kinds()


@pytest.mark.parametrize("size", ["2Gi", "10Gi", "1T"])
def test_the_volume_of_nats_has_room_for_four_runtimes(helm: Helm, size: str) -> None:
    rendered = helm(f"nats.persistence.size={size}")
    [operator] = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    [log] = [int(each.partition("=")[2]) for each in operator["args"] if each.startswith("--events-bytes")]
    config = rendered.one("ConfigMap", "emailflow-nats")["data"]["nats.conf"]
    [store] = [int(line.split()[1]) for line in config.splitlines() if "max_file_store" in line]
    made = streams(RuntimePlan(namespace="mail", name="default"), events_bytes=log)
    bounded = sum(max(0, each.get("max_bytes", 0)) for each in made)
    assert 4 * bounded <= store * 2 / 3


def test_what_tracing_wants_reaches_the_operator_and_nothing_else_does(helm: Helm) -> None:
    rendered = helm("tracing.environment.OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318")
    [operator] = rendered.one("Deployment", "emailflow-operator")["spec"]["template"]["spec"]["containers"]
    assert "--runtime-env=OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318" in operator["args"]
    assert "OTEL_" in helm.refusal("tracing.environment.PYTHONPATH=/tmp")
