"""From nothing to a mail: install, apply the example, emit an event from a pod, and each mail comes once."""

import json
import time

from tests.e2e import cluster, events
from tests.e2e.cluster import Sink, in_pod, kubectl, listed, run, wait
from tests.e2e.conftest import arrived, patch, start_producer

NATS = "nats://emailflow-nats.emailflow.svc:4222"


def test_the_chart_installs_and_says_that_it_works(release: str) -> None:
    wait("deployment", "emailflow-operator", release, until="condition=Available")
    wait("pod", "emailflow-nats-0", release, until="condition=Ready")
    answer = run("helm", "test", cluster.RELEASE, f"--namespace={release}", "--timeout=2m")
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_an_event_over_http_from_a_pod_is_one_mail(
    shop: str, producer: str, witness: Sink, began: float, figures: dict[str, str]
) -> None:
    assert events.post(shop, producer, events.sign_up("ana")) == [202]
    [mail] = witness.mails("ana@example.com", count=1)
    figures["helm install -> first mail"] = f"{time.monotonic() - began:.1f} s"
    assert mail["subject"] == "Welcome, Ana!"
    assert events.post(shop, producer, events.sign_up("ana"), events.sign_up("ben")) == [202, 202]
    assert len(witness.mails("ben@example.com", count=1)) == 1
    assert len(witness.mails("ana@example.com")) == 1, "the same event again is not a mail again"


def test_the_example_as_it_is_mails_without_links(plain: str, witness: Sink) -> None:
    pod = start_producer(plain)
    assert events.post(plain, pod, events.sign_up("pia")) == [202]
    [mail] = witness.mails("pia@example.com", count=1)
    assert "list-unsubscribe" not in mail["headers"]
    assert "/l/" not in mail["text"]


def test_given_a_public_url_it_mails_links_signed_by_keys_that_the_operator_made(
    plain: str, witness: Sink
) -> None:
    public = {"spec": {"publicUrl": f"http://emailruntime-default.{plain}.svc:8082"}}
    patch("er", "default", public, plain)
    arrived("er", "default", plain)
    assert events.post(plain, "producer", events.sign_up("paul"), attempts=60) == [202]
    [mail] = witness.mails("paul@example.com", count=1)
    assert in_pod(plain, "producer", events.ONE_CLICK, events.unsubscribe_link(mail)).strip() == "200"


def test_an_event_without_a_token_is_refused(shop: str, producer: str, witness: Sink) -> None:
    assert events.post(shop, producer, events.sign_up("eve"), token="") == [401]
    assert events.post(shop, producer, events.sign_up("finn")) == [202]
    assert witness.mails("finn@example.com", count=1)
    assert witness.mails("eve@example.com") == []


def test_an_event_over_nats_from_a_pod_is_one_mail(shop: str, producer: str, witness: Sink) -> None:
    subject = f"emailflow.{shop}.default.in.{events.SIGNED_UP}"
    creds = "/nats/default.creds"
    sent = json.dumps([events.sign_up("nora"), events.sign_up("nora")])
    in_pod(
        shop,
        producer,
        events.OVER_NATS,
        NATS,
        creds,
        subject,
        sent,
        "_INBOX_shop_default_producer",
        "/nats/default.ca.crt",
    )
    assert len(witness.mails("nora@example.com", count=1)) == 1
    assert events.post(shop, producer, events.sign_up("nils")) == [202]
    assert witness.mails("nils@example.com", count=1)
    assert len(witness.mails("nora@example.com")) == 1


def test_ready_says_so_within_a_moment_of_apply(shop: str, figures: dict[str, str]) -> None:
    flow = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: hello}
spec:
  trigger: {types: [com.example.hello]}
  steps: [{name: hello, send: {templateRef: {name: welcome}}}]
"""
    began = time.monotonic()
    cluster.apply(flow, shop)
    wait("ef", "hello", shop, until="condition=Ready")
    figures["kubectl apply -> Ready"] = f"{time.monotonic() - began:.2f} s"
    kubectl("delete", "ef", "hello", "--namespace", shop)


def test_runtime_pods_have_no_token_of_the_cluster(shop: str) -> None:
    pods = listed("pods", shop, "--selector=app.kubernetes.io/name=emailflow-runtime")
    assert pods
    for pod in pods:
        mounts = [mount for each in pod["spec"]["containers"] for mount in each.get("volumeMounts", ())]
        assert not [mount for mount in mounts if "serviceaccount" in mount["mountPath"]]
