"""NetworkPolicies, as the API server took them, admit the ports that pods serve, and no other."""

from typing import Any

from tests.e2e.cluster import listed


def selected(policy: dict[str, Any], namespace: str) -> list[dict[str, Any]]:
    """The pods that a policy is about."""
    labels = policy["spec"]["podSelector"]["matchLabels"]
    return listed(
        "pods", namespace, "--selector=" + ",".join(f"{key}={value}" for key, value in labels.items())
    )


def test_network_policies_admit_the_ports_that_pods_serve(shop: str, release: str) -> None:
    policies = {namespace: listed("networkpolicies", namespace) for namespace in (shop, release)}
    assert [len(each) for each in policies.values()] == [1, 2]
    for namespace, found in policies.items():
        for policy in found:
            pods = selected(policy, namespace)
            assert pods, policy["metadata"]["name"]
            containers = [each for pod in pods for each in pod["spec"]["containers"]]
            served = {port["containerPort"] for each in containers for port in each["ports"]}
            admitted = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
            assert admitted == served, policy["metadata"]["name"]
