"""What the chart makes: fit for restricted namespaces, complete in itself, and nobody's custom resources."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.unit.chart.conftest import NAMESPACE, ROOT, Helm, Object, Rendered

CLUSTER_WIDE = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
}


def restricted(pod: Object) -> list[str]:
    """What Pod Security `restricted` would hold against a pod."""
    spec, wrong = pod["spec"], []
    of_pod = spec.get("securityContext", {})
    if not of_pod.get("runAsNonRoot") or of_pod.get("runAsUser") == 0:
        wrong.append("may be root")
    if of_pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        wrong.append("no seccomp profile")
    if any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        wrong.append("uses the host's namespaces")
    allowed = {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}
    wrong += [f"volume {each['name']}" for each in spec.get("volumes", ()) if not allowed & each.keys()]
    for each in [*spec.get("initContainers", ()), *spec["containers"]]:
        context = each.get("securityContext", {})
        if context.get("allowPrivilegeEscalation") is not False:
            wrong.append(f"{each['name']} may escalate")
        if context.get("capabilities", {}).get("drop") != ["ALL"]:
            wrong.append(f"{each['name']} has capabilities")
        if context.get("readOnlyRootFilesystem") is not True:
            wrong.append(f"{each['name']} writes to its root")
    return wrong


def test_pods_pass_the_restricted_standard_on_a_read_only_root(
    defaults: Rendered, everything: Rendered, pod_templates: Callable[[Rendered], list[Object]]
) -> None:
    pods = [*pod_templates(defaults), *pod_templates(everything)]
    assert len(pods) == 6  # operator, NATS and the test, twice
    assert [wrong for pod in pods if (wrong := restricted(pod))] == []


def test_containers_have_bounded_memory(
    defaults: Rendered, pod_templates: Callable[[Rendered], list[Object]]
) -> None:
    for pod in pod_templates(defaults):
        for container in pod["spec"]["containers"]:
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["memory"]


def test_only_the_operator_has_a_token(
    everything: Rendered, pod_templates: Callable[[Rendered], list[Object]]
) -> None:
    for pod in pod_templates(everything):
        own = pod["spec"]["containers"][0]["name"] == "operator"
        assert own or pod["spec"]["automountServiceAccountToken"] is False


def test_there_are_no_custom_resources(everything: Rendered) -> None:
    assert [
        each["kind"] for each in everything.objects if each["apiVersion"].startswith("emailflow.dev/")
    ] == []


def test_no_two_objects_are_the_same(everything: Rendered) -> None:
    names = Counter((each["kind"], each["metadata"]["name"]) for each in everything.objects)
    assert [name for name, count in names.items() if count > 1] == []


def test_every_object_says_where_it_belongs(everything: Rendered) -> None:
    for each in everything.objects:
        expected = None if each["kind"] in CLUSTER_WIDE else NAMESPACE
        assert each["metadata"].get("namespace") == expected, each["kind"]


def test_every_selector_of_the_chart_finds_pods_of_its_own(
    everything: Rendered, pod_templates: Callable[[Rendered], list[Object]]
) -> None:
    labels = [pod["metadata"]["labels"] for pod in pod_templates(everything)]
    selectors = [each["spec"]["selector"] for each in everything.all("Service")]
    for kind in ("Deployment", "StatefulSet", "PodDisruptionBudget"):
        selectors += [each["spec"]["selector"]["matchLabels"] for each in everything.all(kind)]
    selectors += [each["spec"]["podSelector"]["matchLabels"] for each in everything.all("NetworkPolicy")]
    assert len(selectors) == 10
    for selector in selectors:
        assert sum(selector.items() <= each.items() for each in labels) == 1, selector


def test_network_policies_admit_the_ports_in_use_and_no_other(
    everything: Rendered, defaults: Rendered, pod_templates: Callable[[Rendered], list[Object]]
) -> None:
    """Of the NATS that stands alone the cluster's port is in use by nobody."""
    for rendered in (everything, defaults):
        for policy in rendered.all("NetworkPolicy"):
            chosen = policy["spec"]["podSelector"]["matchLabels"].items()
            pods = pod_templates(rendered)
            [pod] = [each for each in pods if chosen <= each["metadata"]["labels"].items()]
            served = {port["containerPort"] for each in pod["spec"]["containers"] for port in each["ports"]}
            admitted = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
            assert admitted == served, policy["metadata"]["name"]


def test_the_operator_may_reach_what_it_talks_to(everything: Rendered) -> None:
    policy = everything.one("NetworkPolicy", "emailflow-operator")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    [rule] = policy["egress"]
    reached = {(port["protocol"], port["port"]) for port in rule["ports"]}
    assert reached == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 6443), ("TCP", 4222)}


def test_a_nats_that_fails_to_write_is_started_again(defaults: Rendered, everything: Rendered) -> None:
    """Which check tells is tested with a full disk: tests/e2e/test_full_disk.py."""
    for rendered, patience in ((defaults, 3), (everything, 15)):
        [container] = rendered.one("StatefulSet", "emailflow-nats")["spec"]["template"]["spec"]["containers"]
        probe = container["livenessProbe"]
        assert probe["exec"]["command"][-1] == "http://127.0.0.1:8222/healthz?js-meta-only=true"
        assert probe["failureThreshold"] == patience


def test_labels_that_change_with_a_version_do_not_restart_nats(defaults: Rendered) -> None:
    [nats] = defaults.all("StatefulSet")
    labels = nats["spec"]["template"]["metadata"]["labels"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_definitions_are_those_of_the_repository_and_kept(defaults: Rendered, helm: Helm) -> None:
    expected = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")}
    found = defaults.all("CustomResourceDefinition")
    assert len(found) == len(expected) == 6
    for each in found:
        annotations = each["metadata"].pop("annotations")
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "emailflow"
        assert each["spec"] in [wanted["spec"] for wanted in expected.values()]
    loose = helm("crds.keep=false").all("CustomResourceDefinition")
    assert not [
        each for each in loose if "helm.sh/resource-policy" in each["metadata"].get("annotations", {})
    ]
    assert "CustomResourceDefinition" not in helm("crds.install=false").kinds()


def test_install_yaml_is_what_the_defaults_make(helm: Helm) -> None:
    text = (ROOT / "deploy/install.yaml").read_text()
    rendered = yaml.safe_load_all(text)
    applied = {(each["kind"], each["metadata"]["name"]) for each in rendered if each}
    made = {(each["kind"], each["metadata"]["name"]) for each in helm().objects if each["kind"] != "Pod"}
    assert applied == made | {("Namespace", "emailflow")}
    assert yaml.safe_load(Path(ROOT / "deploy/kustomization.yaml").read_text())["resources"] == [
        "install.yaml"
    ]


@pytest.mark.parametrize(
    "name", ["emailruntime", "emailruntime-x", "admin-emailruntime", "admin-emailruntime-a"]
)
def test_no_release_is_named_so_that_a_runtime_could_have_its_names(helm: Helm, name: str) -> None:
    """An EmailRuntime `nats` has a Service `emailruntime-nats`: the chart's NATS must not be called so."""
    assert "expected another one" in helm.refusal(f"fullnameOverride={name}")


def test_a_long_release_name_still_makes_names_that_kubernetes_takes(helm: Helm) -> None:
    rendered = helm(f"fullnameOverride={'a' * 40}")
    assert max(len(each["metadata"]["name"]) for each in rendered.all("Service")) <= 63
