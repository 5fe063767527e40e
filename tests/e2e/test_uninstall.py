"""What `helm uninstall` leaves is what the how-to says, and nothing else. Runs last."""

import json

from tests.e2e import cluster
from tests.e2e.cluster import kubectl, listed, run, wait

KINDS = "deployments,statefulsets,services,configmaps,secrets,serviceaccounts,roles,rolebindings,leases"
MORE = "networkpolicies,poddisruptionbudgets,persistentvolumeclaims,pods"
WEBHOOKS = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
CLUSTER_WIDE = f"clusterroles,clusterrolebindings,{WEBHOOKS}"
KUBERNETES_OWN = {"ConfigMap/kube-root-ca.crt", "ServiceAccount/default"}


def left_in(namespace: str) -> set[str]:
    found = listed(f"{KINDS},{MORE}", namespace)
    return {f"{each['kind']}/{each['metadata']['name']}" for each in found} - KUBERNETES_OWN


def test_uninstalling_keeps_what_it_promises_and_nothing_else(shop: str, release: str) -> None:
    kubectl("delete", "emailruntimes", "--all", "--all-namespaces")
    wait("deployment", "emailruntime-default", shop, until="delete")
    answer = run("helm", "uninstall", cluster.RELEASE, f"--namespace={release}", "--wait")
    assert answer.returncode == 0, answer.stderr
    for pod in listed("pods", release):
        wait("pod", pod["metadata"]["name"], release, until="delete")
    assert left_in(release) == {
        "Secret/emailflow-nats-auth",
        "Secret/emailflow-nats-tls",
        "Secret/emailflow-webhook-tls",
        "PersistentVolumeClaim/data-emailflow-nats-0",
    }
    definitions = kubectl("get", "crd", "--selector=app.kubernetes.io/part-of=emailflow", "--output=name")
    assert len(definitions.split()) == 6
    others = json.loads(kubectl("get", CLUSTER_WIDE, "--output=json"))["items"]
    assert [each["metadata"]["name"] for each in others if "emailflow" in each["metadata"]["name"]] == []
    assert listed("emailflows", shop), "flows are the people's"
