"""The page's manifests for scaling are what the API server takes, and a scaled runtime is in sync."""

import json
import re
from typing import Any

import pytest
import yaml

from .conftest import MANAGER, ROOT, placed, text_of

PAGE = (ROOT / "docs/how-to/scale.md").read_text()
RUNTIME = {
    "apiVersion": "emailflow.dev/v1alpha1",
    "kind": "EmailRuntime",
    "metadata": {"name": "default"},
    "spec": {"shards": 4},
}


def sample(file: str) -> Any:
    found = re.search(rf"^```yaml file={file}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found, file
    return yaml.safe_load(found[1])


@pytest.fixture(scope="module")
def keda(apiserver: Any) -> None:
    """KEDA's definition of a ScaledObject."""
    apiserver("apply", "--server-side", f"--filename={ROOT / 'tests/data/keda/keda.sh_scaledobjects.yaml'}")
    crd = "crd/scaledobjects.keda.sh"
    apiserver("wait", "--for=condition=Established", crd, "--timeout=60s")


@pytest.mark.parametrize("file", ["keda.yaml", "autoscaler.yaml"])
def test_a_sample_is_valid_and_names_what_can_be_scaled(
    file: str, keda: None, apiserver: Any, namespace: str
) -> None:
    value = sample(file)
    value["metadata"]["namespace"] = namespace
    apiserver("apply", "--validate=strict", "--filename=-", manifests=yaml.safe_dump(value))
    target = value["spec"]["scaleTargetRef"]
    runtime = {**RUNTIME, "metadata": {"name": target["name"], "namespace": namespace}}
    assert (target["apiVersion"], target["kind"]) == (RUNTIME["apiVersion"], RUNTIME["kind"])
    apiserver("apply", "--filename=-", manifests=yaml.safe_dump(runtime))
    path = f"/apis/{target['apiVersion']}/namespaces/{namespace}/emailruntimes/{target['name']}/scale"
    assert json.loads(apiserver("get", f"--raw={path}"))["kind"] == "Scale"


def test_a_misspelt_field_would_be_refused(keda: None, apiserver: Any, namespace: str) -> None:
    value = sample("keda.yaml")
    value["metadata"]["namespace"] = namespace
    value["spec"]["maxReplicas"] = value["spec"].pop("maxReplicaCount")
    answer = apiserver.run("apply", "--validate=strict", "--filename=-", manifests=yaml.safe_dump(value))
    assert answer.returncode == 1
    assert "maxReplicas" in answer.stderr


def test_the_query_asks_for_a_series_that_there_is() -> None:
    (trigger,) = sample("keda.yaml")["spec"]["triggers"]
    (series,) = re.findall(r"emailflow_\w+", trigger["metadata"]["query"])
    row = next(
        line for line in (ROOT / "docs/reference/metrics.md").read_text().splitlines() if series in line
    )
    assert "`flow`, `shard`" in row


@pytest.mark.parametrize("how", ["client", "server"])
def test_a_scaled_runtime_is_in_sync_and_a_sync_leaves_it(
    how: str, apiserver: Any, argo_cd: Any, namespace: str
) -> None:
    (wanted,) = placed([RUNTIME], namespace, "nats://127.0.0.1:4222")
    del wanted["spec"]["replicas"]
    apply = ("apply",) if how == "client" else ("apply", "--server-side", f"--field-manager={MANAGER}")
    apiserver(*apply, "--filename=-", manifests=text_of([wanted]))
    apiserver("scale", "emailruntime", "default", f"--namespace={namespace}", "--replicas=3")
    assert argo_cd.differences([wanted]) == []
    apiserver(*apply, "--filename=-", manifests=text_of([wanted]))
    replicas = "-o=jsonpath={.spec.replicas}"
    assert apiserver("get", "er", "default", f"--namespace={namespace}", replicas) == "3"
