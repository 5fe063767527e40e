"""Manifests that can't be right are refused when they are applied, and the message says why."""

import pytest
from tests.e2e import cluster
from tests.e2e.cluster import refused

HEAD = "apiVersion: emailflow.dev/v1alpha1\n"
TEMPLATE = HEAD + "kind: EmailTemplate\nmetadata: {name: bad}\n"
FLOW = HEAD + "kind: EmailFlow\nmetadata: {name: bad}\nspec:\n  trigger: {types: [com.example.a]}\n"


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (FLOW + "  steps: [{name: a, sned: {}}]\n", "sned"),
        (FLOW + "  steps: [{name: a, wait: {for: PT1H}}, {name: a, wait: {for: PT1H}}]\n", "step"),
        (FLOW + "  continueIf: 'contact.('\n  steps: [{name: a, wait: {for: PT1H}}]\n", "spec.continueIf"),
        (TEMPLATE + "spec: {subject: '{{ contact.name', markdown: a}\n", "spec.subject"),
    ],
    ids=["an unknown field", "two steps of one name", "an expression", "a template"],
)
@pytest.mark.usefixtures("admission")
def test_a_bad_manifest_is_refused_with_its_message(shop: str, manifest: str, said: str) -> None:
    assert said in refused(manifest, shop)


@pytest.mark.usefixtures("admission")
def test_what_may_still_come_is_a_warning(shop: str) -> None:
    flow = FLOW + "  steps: [{name: a, send: {templateRef: {name: nowhere}}}]\n"
    said = cluster.apply(flow, shop)
    assert "Warning" in said
    assert "nowhere" in said
    cluster.wait("ef", "bad", shop, until='jsonpath={.status.conditions[?(@.type=="Ready")].status}=False')
    cluster.kubectl("delete", "ef", "bad", "--namespace", shop)
