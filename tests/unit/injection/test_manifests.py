"""`emailflow inject`: manifests in, the same manifests with sidecars out."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from emailflow_api.reading import read_documents
from emailflow_cli.main import app
from emailflow_operator.injection.manifests import inject_manifests

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: shop}
spec:
  template:
    metadata:
      labels: {emailflow.dev/inject: "true"}
    spec:
      containers: [{name: shop, image: "shop:1"}]
"""
CRON_JOB = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  jobTemplate:
    spec:
      template:
        metadata: {labels: {emailflow.dev/inject: "true"}}
        spec: {containers: [{name: nightly, image: "shop:1"}]}
"""
SERVICE = """\
# A comment that stays.
apiVersion: v1
kind: Service
metadata:   {name: shop}   # and its odd spaces
"""


def injected(text, injector, namespace="default"):
    return inject_manifests(text, "x.yaml", injector, namespace).text


def test_a_template_gets_the_sidecar(injector):
    [made] = read_documents(injected(DEPLOYMENT, injector), "x")
    [sidecar] = made.value["spec"]["template"]["spec"]["initContainers"]
    assert sidecar["name"] == "emailflow"
    assert "--sink=http://emailruntime-default.shop.svc/events" in sidecar["args"]


def test_a_manifest_without_a_namespace_goes_where_the_caller_says(injector):
    assert "--sink=http://emailruntime-default.night.svc/events" in injected(CRON_JOB, injector, "night")


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet", "Job", "ReplicaSet"])
def test_every_kind_with_a_pod_template_is_known(injector, kind):
    assert "name: emailflow\n" in injected(DEPLOYMENT.replace("Deployment", kind), injector)


def test_other_documents_stay_letter_by_letter(injector):
    text = f"{SERVICE}--- # next\n{DEPLOYMENT}---\n{SERVICE}"
    made = injected(text, injector)
    assert made.startswith(f"{SERVICE}--- # next\n")
    assert made.endswith(f"---\n{SERVICE}")


def test_a_second_run_changes_nothing(injector):
    once = injected(f"{SERVICE}---\n{DEPLOYMENT}---\n{CRON_JOB}", injector)
    assert injected(once, injector) == once


@pytest.mark.parametrize(
    "value", ["1e3", "0o7", "22:00", "on", "no", "~", "0x1F", "1_000", "two\nlines\n", " ä: #"]
)
def test_values_mean_the_same_to_kubectl_afterwards(injector, value):
    manifest = yaml.safe_load(DEPLOYMENT)
    env = [{"name": "A", "value": value}]
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] = env
    made = injected(json.dumps(manifest), injector)
    [document] = read_documents(made, "x")
    assert document.value["spec"]["template"]["spec"]["containers"][0]["env"][0] == env[0]


def test_the_items_of_a_list_are_injected_one_by_one(injector):
    items = "".join(
        f"- {line}" if i == 0 else f"  {line}" for i, line in enumerate(DEPLOYMENT.splitlines(True))
    )
    made = injected(f"apiVersion: v1\nkind: List\nitems:\n{items}", injector)
    assert [each.kind for each in read_documents(made, "x")] == ["Deployment"]
    assert "name: emailflow\n" in made


def run(text, *arguments):
    return CliRunner().invoke(app, ["inject", "-f", "-", "--image", "emailflow:1", *arguments], input=text)


def test_the_command_writes_the_result_to_standard_output():
    result = run(DEPLOYMENT)
    assert result.exit_code == 0
    assert "image: emailflow:1" in result.stdout


def test_the_command_warns_of_a_pod_that_can_not_have_a_sidecar():
    result = run(
        DEPLOYMENT.replace("spec:\n      containers", "spec:\n      hostNetwork: true\n      containers")
    )
    assert result.exit_code == 0
    assert "Deployment/shop: no EmailFlow sidecar" in result.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            DEPLOYMENT.replace("labels:", "annotations: {emailflow.dev/runtime: x}\n      labels:"),
            "Deployment/shop: ",
        ),
        ("a: [", "InvalidYaml"),
    ],
)
def test_the_command_fails_with_a_word_on_what_is_wrong(text, words):
    result = run(text)
    assert result.exit_code == 1
    assert words in result.stderr
    assert result.stdout == ""
