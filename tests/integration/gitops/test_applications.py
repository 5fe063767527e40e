"""The sample Applications are ones, and take of a folder what `kubectl apply` should get."""

from typing import Any

import pytest
import yaml

from .conftest import BLOCK, ROOT

SAMPLES = {
    value["metadata"]["name"]: value
    for value in yaml.safe_load_all((ROOT / "deploy/argocd/application.yaml").read_text())
}
EXAMPLES = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "examples").rglob("*.yaml"))]


def test_the_flows_application_leaves_flow_tests_out(argo_cd: Any) -> None:
    tests = [path for path in EXAMPLES if "/tests/" in path]
    assert tests
    taken = argo_cd.manifests(SAMPLES["shop-mails"], [*EXAMPLES, "tests/leaves.yaml", "flow.yaml"])
    assert taken == [*(path for path in EXAMPLES if path not in tests), "flow.yaml"]


def test_the_installations_application_is_one_and_leads_to_a_kustomization(argo_cd: Any) -> None:
    sample = SAMPLES["emailflow"]
    argo_cd.manifests(sample, [])
    folder = ROOT / sample["spec"]["source"]["path"]
    assert yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"] == ["install.yaml"]


def test_the_pages_application_set_is_one(argo_cd: Any) -> None:
    page = (ROOT / "docs/how-to/argocd.md").read_text()
    (sample,) = [yaml.safe_load(text) for text in BLOCK.findall(page)]
    assert sample["kind"] == "ApplicationSet"
    argo_cd.manifests(sample, [])
    sample["spec"]["generators"].append({"clusterz": {}})
    with pytest.raises(AssertionError, match="clusterz"):
        argo_cd.manifests(sample, [])


def test_a_misspelt_field_would_be_refused(argo_cd: Any) -> None:
    sample = SAMPLES["emailflow"]
    broken = {**sample, "spec": {**sample["spec"], "syncpolicies": {}}}
    with pytest.raises(AssertionError, match="syncpolicies"):
        argo_cd.manifests(broken, [])
