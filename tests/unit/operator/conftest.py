"""Pictures of a cluster, made in a line or two."""

from typing import Any

import pytest

from emailflow_operator.reconcile.cluster import Cluster
from emailflow_operator.reconcile.desired import Compiled, compile_for
from emailflow_operator.reconcile.scope import sources_for

API = "emailflow.dev/v1alpha1"
FLOW_SPEC: dict[str, Any] = {
    "trigger": {"types": ["com.example.signed_up"]},
    "steps": [{"name": "hello", "send": {"templateRef": {"name": "hello"}}}],
}


def thing(kind: str, name: str, spec: Any = None, namespace: str = "mail", **metadata: Any) -> dict[str, Any]:
    """An object of ours as the API server says it."""
    about = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
    }
    return {"apiVersion": API, "kind": kind, "metadata": {**about, **metadata}, "spec": spec or {}}


def runtime(**spec: Any) -> dict[str, Any]:
    usual = {"defaults": {"providerRef": {"name": "smtp"}}, "publicUrl": "https://mail.example.com"}
    said = {key: value for key, value in {**usual, **spec}.items() if value is not None}
    return thing("EmailRuntime", "default", said)


def flow(name: str = "hello", namespace: str = "mail", **spec: Any) -> dict[str, Any]:
    return thing("EmailFlow", name, {**FLOW_SPEC, **spec}, namespace)


def template(name: str = "hello", namespace: str = "mail", **spec: Any) -> dict[str, Any]:
    return thing("EmailTemplate", name, {"subject": "Hello", "markdown": "Hi", **spec}, namespace)


def event_type(readers: str = "Same", **grant: Any) -> dict[str, Any]:
    said = {"type": "com.example.signed_up", "readers": {"from": readers, **grant}}
    return thing("EventType", "signed-up", said)


def provider(**smtp: Any) -> dict[str, Any]:
    way = {"host": "smtp.example.com", "port": 587, "tls": "None", **smtp}
    return thing(
        "EmailProvider", "smtp", {"type": "Smtp", "smtp": way, "from": {"address": "shop@example.com"}}
    )


def cluster_of(*objects: dict[str, Any]) -> Cluster:
    made = Cluster()
    for each in objects:
        made.put(each["kind"], each)
    return made


def compiled_for(key: tuple[str, str], cluster: Cluster) -> Compiled:
    sources = sources_for(cluster, key, {})
    return compile_for(key, sources.documents, sources.strangers)


@pytest.fixture
def shop() -> Cluster:
    """A runtime, a provider, a flow and its template."""
    return cluster_of(runtime(), provider(), flow(), template())
