"""What stands around a runtime's pods: Services, ServiceAccount, disruption budget, network policy."""

from typing import Any

from emailflow_api.child_names import admin_name
from emailflow_api.pod_settings import ADMIN_PORT, EVENTS_PORT, LINKS_PORT
from emailflow_operator.reconcile.children.labels import metadata, pod_selector
from emailflow_operator.reconcile.cluster import Object


def surroundings(owner: Object) -> list[Object]:
    """The manifests."""
    runtime: str = owner["metadata"]["name"]
    selector = pod_selector(runtime)
    return [
        _of(owner, "v1", "ServiceAccount", automountServiceAccountToken=False),
        _of(
            owner,
            "v1",
            "Service",
            # Apart, so that an ingress can lead to the links and to nothing else.
            spec={
                "selector": selector,
                "ports": [_port("events", 80, "events"), _port("links", LINKS_PORT, "links")],
                "type": "ClusterIP",
            },
        ),
        _of(
            owner,
            "v1",
            "Service",
            name=admin_name(runtime),
            # Each pod has numbers of its own, and one that is not ready is the one to look at.
            spec={
                "selector": selector,
                "clusterIP": "None",
                "publishNotReadyAddresses": True,
                "ports": [_port("admin", ADMIN_PORT, "admin")],
            },
        ),
        _of(
            owner,
            "policy/v1",
            "PodDisruptionBudget",
            spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}},
        ),
        _of(owner, "networking.k8s.io/v1", "NetworkPolicy", spec=_network(selector)),
    ]


def _of(owner: Object, api_version: str, kind: str, *, name: str | None = None, **rest: Any) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata(owner, name=name), **rest}


def _port(name: str, port: int, target: str) -> dict[str, Any]:
    return {"name": name, "port": port, "targetPort": target, "protocol": "TCP"}


def _network(selector: dict[str, str]) -> dict[str, Any]:
    """Only the three ports can be reached. Where mails go is the providers' business: egress is free."""
    ports = [{"protocol": "TCP", "port": port} for port in (EVENTS_PORT, ADMIN_PORT, LINKS_PORT)]
    return {
        "podSelector": {"matchLabels": selector},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": ports}],
    }
