"""An installation that serves one namespace, on three NATS servers, with a certificate that was given to it.

It replaces what was installed before.
"""

import base64
import json
from collections.abc import Iterator

import pytest
from tests.e2e import cluster, events
from tests.e2e.certificates import given_certificate
from tests.e2e.cluster import CHART, Sink, get, in_pod, kubectl, refused, run, wait
from tests.e2e.conftest import NAMESPACE, apply_example, image_values, start_producer

APART = "apart"
GIVEN = "given-tls"
OPERATOR = "system:serviceaccount:emailflow:emailflow-operator"


@pytest.fixture(scope="module")
def apart(witness: Sink) -> Iterator[str]:
    """The one namespace, with the example on replicated streams, and a producer."""
    run("helm", "uninstall", cluster.RELEASE, f"--namespace={NAMESPACE}", "--wait")
    cluster.make_namespace(APART)
    where = [cluster.RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--create-namespace"]
    values = {
        "operator.watchNamespaces": f"{{{APART}}}",
        "operator.replicas": "1",
        "nats.replicas": "3",
        "nats.persistence.enabled": "false",
        "nats.persistence.size": "2Gi",
        "nats.resources.limits.memory": "512Mi",
        "webhooks.certificates.mode": "Secret",
        "webhooks.certificates.secretName": GIVEN,
        "webhooks.certificates.caBundle": give_certificate(),
    }
    cluster.helm(
        "install", *where, *image_values(), *(f"--set={key}={value}" for key, value in values.items())
    )
    apply_example(APART, {"nats": {"replicas": 3}})
    yield start_producer(APART)
    kubectl("delete", "emailruntimes", "--all", "--namespace", APART)


def give_certificate() -> str:
    """Put the webhooks' certificate where the operator is going to be; its authority, as a caBundle."""
    authority, certificate, key = given_certificate(f"emailflow-webhook.{NAMESPACE}.svc")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": GIVEN},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    }
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}), "")
    cluster.apply(json.dumps(secret), NAMESPACE)
    return base64.b64encode(authority.encode()).decode()


def leader_of(stream: str) -> str:
    """The server that leads a stream of the runtime: its pod's name."""
    # Only the pod itself reaches its monitor.
    asked = ["wget", "-q", "-O", "-", "http://127.0.0.1:8222/jsz?accounts=true&streams=true"]
    there = json.loads(kubectl("exec", "--namespace", NAMESPACE, "emailflow-nats-0", "--", *asked))
    details = [each for account in there["account_details"] for each in account.get("stream_detail", ())]
    [leader] = [each["cluster"]["leader"] for each in details if each["name"] == f"{APART}_default_{stream}"]
    return str(leader)


def may(verb: str, what: str, namespace: str) -> bool:
    """Whether the operator may do that, as the API server says."""
    return (
        run("kubectl", "auth", "can-i", verb, what, "-n", namespace, f"--as={OPERATOR}").stdout.strip()
        == "yes"
    )


JOIN = """
import socket, ssl, sys
trusting = ssl.create_default_context()
trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
with socket.create_connection((sys.argv[1], 6222), timeout=30) as plain:
    try:
        with trusting.wrap_socket(plain) as route:
            route.sendall(b'CONNECT {"verbose":true}\\r\\nPING\\r\\n')
            print(route.recv(65536))
    except (ssl.SSLError, ConnectionError) as refusal:
        print(refusal)
"""


def test_no_pod_joins_the_servers_of_nats(apart: str) -> None:
    for number in range(3):
        address = get("pod", f"emailflow-nats-{number}", NAMESPACE)["status"]["podIP"]
        assert "certificate required" in in_pod(APART, apart, JOIN, address)


def test_it_has_rights_in_the_namespaces_that_it_serves_only(apart: str) -> None:
    assert may("get", "secrets/emailflow-nats", APART)
    assert not may("get", "secrets/emailflow-nats", "default")
    assert not may("get", "secrets/links", APART)
    assert not may("list", "emailflows", "default")
    assert not may("list", "namespaces", "default")


def test_admission_answers_with_the_certificate_that_was_given(apart: str) -> None:
    flow = "apiVersion: emailflow.dev/v1alpha1\nkind: EmailFlow\nmetadata: {name: bad}\nspec:\n"
    flow += "  trigger: {types: [com.example.a]}\n  steps: [{name: a, wait: {for: PT1H}}]\n"
    assert "spec.continueIf" in refused(flow + "  continueIf: 'contact.('\n", APART)


def test_accepted_events_survive_the_loss_of_one_of_three_servers(
    apart: str, witness: Sink, reaper: str
) -> None:
    first = [f"tina{number}" for number in range(10)]
    assert events.post(APART, apart, *map(events.sign_up, first), attempts=60) == [202] * 10
    cluster.strike(NAMESPACE, leader_of("EVENTS"), reaper=reaper)
    second = [f"theo{number}" for number in range(10)]
    assert events.post(APART, apart, *map(events.sign_up, second), attempts=120) == [202] * 10
    mailed = {**witness.counts("tina", distinct=10), **witness.counts("theo", distinct=10)}
    assert mailed == {f"{name}@example.com": 1 for name in (*first, *second)}
    for number in range(3):
        wait("pod", f"emailflow-nats-{number}", NAMESPACE, until="condition=Ready")
