"""Objects and reviews as the API server sends them, judged beside the operator's picture of a cluster."""

import json

import pytest

from emailflow_operator.admission.review import read_request, validate
from emailflow_operator.reconcile.cluster import Cluster

API_VERSION = "emailflow.dev/v1alpha1"


def resource(kind, name, spec, namespace="shop", **metadata):
    metadata = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def review(new, old=None, **request):
    """An AdmissionReview of a change, as JSON."""
    operation = "CREATE" if old is None else "UPDATE"
    kind = {"group": "emailflow.dev", "version": "v1alpha1", "kind": (new or {}).get("kind", "")}
    whole = {"uid": "u1", "operation": operation, "namespace": "shop", "kind": kind, **request}
    whole |= {"object": new, "oldObject": old}
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": whole}
    ).encode()


def picture(objects):
    """The operator's picture of a cluster that holds these."""
    cluster = Cluster()
    for each in objects:
        cluster.put(each["kind"], each)
    return cluster


@pytest.fixture(name="resource")
def _resource():
    return resource


@pytest.fixture(name="review")
def _review():
    return review


@pytest.fixture(scope="session")
def judged():
    """The response to a change, `others` being there."""

    def answer(new, old=None, others=(), **request):
        return validate(read_request(review(new, old, **request)), picture(others))["response"]

    return answer


@pytest.fixture(scope="session")
def flow():
    def make(**spec):
        steps = [{"name": "greet", "send": {"templateRef": {"name": "hello"}}}]
        return resource(
            "EmailFlow", "welcome", {"trigger": {"types": ["com.example.joined"]}, "steps": steps, **spec}
        )

    return make


@pytest.fixture
def neighbours():
    """What the flow needs to be sound."""
    return [
        resource("EmailRuntime", "default", {"defaults": {"providerRef": {"name": "relay"}}}),
        resource(
            "EmailProvider",
            "relay",
            {"type": "Smtp", "smtp": {"host": "smtp.example.com"}, "from": {"address": "shop@example.com"}},
        ),
        resource("EmailTemplate", "hello", {"subject": "Hello", "html": "<p>Hello</p>"}),
    ]
