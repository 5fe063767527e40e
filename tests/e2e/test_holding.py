"""What is suspended, redirected or captured holds on the cluster until somebody says otherwise."""

import json
import time

import pytest
from tests.e2e import cluster, events
from tests.e2e.cluster import Sink, kubectl, wait
from tests.e2e.conftest import arrived, patch


@pytest.mark.parametrize(
    ("kind", "name"),
    [("ef", "onboarding"), ("epr", "relay"), ("er", "default")],
    ids=["flow", "provider", "runtime"],
)
def test_what_is_suspended_holds_its_mails_until_it_is_released(
    shop: str, producer: str, witness: Sink, kind: str, name: str
) -> None:
    held = f"held-{kind}"
    patch(kind, name, {"spec": {"suspend": True}})
    try:
        arrived(kind, name, shop)
        assert events.post(shop, producer, events.sign_up(held)) == [202]
        arrived(kind, name, shop)
        assert witness.mails(f"{held}@example.com") == []
        released = time.time()
    finally:
        patch(kind, name, {"spec": {"suspend": None}})
    [mail] = witness.mails(f"{held}@example.com", count=1)
    assert mail["at"] >= released


def test_redirected_mails_reach_one_address_and_captured_ones_nobody(
    shop: str, producer: str, witness: Sink
) -> None:
    try:
        patch("er", "default", {"spec": {"delivery": {"mode": "Redirect", "to": "qa@example.org"}}})
        arrived("er", "default", shop)
        assert events.post(shop, producer, events.sign_up("rita")) == [202]
        [redirected] = witness.mails("qa@example.org", count=1)
        assert redirected["subject"] == "Welcome, Rita!"
        patch("er", "default", {"spec": {"delivery": {"mode": "Capture", "to": None}}})
        arrived("er", "default", shop)
        assert events.post(shop, producer, events.sign_up("cora")) == [202]
        arrived("er", "default", shop)
    finally:
        patch("er", "default", {"spec": {"delivery": None}})
    arrived("er", "default", shop)
    assert events.post(shop, producer, events.sign_up("lena")) == [202]
    assert len(witness.mails("lena@example.com", count=1)) == 1
    for name in ("rita", "cora"):
        assert witness.mails(f"{name}@example.com") == [], name
    assert len(witness.mails("qa@example.org")) == 1


GUARDED = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {name: guarded}
spec:
  type: Smtp
  smtp:
    host: sink.witness.svc
    port: 465
    tls: Implicit
    username: mailer
    passwordSecretRef: {name: smtp, key: password}
    caSecretRef: {name: smtp, key: ca.crt}
  from: {address: hello@example.com, name: Example Shop}
  retry: {backoff: PT1S, maxBackoff: PT2S}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: guarded}
spec:
  trigger: {types: [com.example.guarded]}
  steps: [{name: hello, send: {templateRef: {name: welcome}, providerRef: {name: guarded}}}]
"""


def test_a_changed_smtp_password_loses_no_mail(shop: str, producer: str, witness: Sink) -> None:
    """The server takes the new one only, before any pod can know it."""
    witness.accept("first")
    put_secret(shop, "first", witness.certificate())
    cluster.apply(GUARDED, shop)
    wait("ef", "guarded", shop, until="condition=Ready")
    kubectl("rollout", "status", "deployment/emailruntime-default", "--namespace", shop, "--timeout=90s")
    pods = cluster.names("pods", shop)
    assert events.post(shop, producer, guarded("gina")) == [202]
    assert len(witness.mails("gina@example.com", count=1)) == 1
    witness.accept("second")
    between = [f"gus{number}" for number in range(5)]
    assert events.post(shop, producer, *map(guarded, between)) == [202] * 5
    put_secret(shop, "second", witness.certificate())
    assert events.post(shop, producer, guarded("greta")) == [202]
    for name in (*between, "greta"):
        assert len(witness.mails(f"{name}@example.com", count=1, seconds=100)) == 1, name
    assert cluster.names("pods", shop) == pods, "no pod was replaced"
    kubectl("delete", "ef/guarded", "epr/guarded", "--namespace", shop)


def guarded(name: str) -> dict[str, object]:
    return events.sign_up(name) | {
        "type": "com.example.guarded",
        "data": {"email": f"{name}@example.com", "name": name},
    }


def put_secret(namespace: str, password: str, authority: str) -> None:
    """The provider's Secret, as it shall be now."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "smtp"},
        "stringData": {"password": password, "ca.crt": authority},
    }
    cluster.apply(json.dumps(secret), namespace)
    # The kubelet looks at volumes once a minute, and when a pod changes.
    selector = "--selector=app.kubernetes.io/name=emailflow-runtime"
    kubectl("annotate", "pod", selector, f"--namespace={namespace}", f"e2e={password}", "--overwrite")
