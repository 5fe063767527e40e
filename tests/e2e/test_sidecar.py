"""A pod that asks for it by a label gets a sidecar, and posts without credentials of its own."""

from collections.abc import Iterator

import pytest
from tests.e2e import cluster, events
from tests.e2e.cluster import Sink, get, kubectl, wait


@pytest.fixture(scope="module")
def service(shop: str) -> Iterator[str]:
    """A service's pod with its sidecar."""
    cluster.apply(cluster.manifest("sidecar.yaml"), shop)
    wait("pod", "service", shop, until="condition=Ready")
    yield "service"
    kubectl("delete", "pod", "service", "--namespace", shop)


def sink_of(namespace: str, pod: str) -> str:
    """What the app of a pod finds in K_SINK."""
    [app] = get("pod", pod, namespace)["spec"]["containers"]
    [sink] = [each["value"] for each in app["env"] if each["name"] == "K_SINK"]
    return str(sink)


def test_an_event_through_the_sidecar_is_one_mail(shop: str, service: str, witness: Sink) -> None:
    url = sink_of(shop, service)
    assert url.startswith("http://localhost:")
    assert events.post(shop, service, events.sign_up("sid"), url=url, token="") == [202]
    assert events.post(shop, service, events.sign_up("sid"), url=url, token="") == [202]
    assert len(witness.mails("sid@example.com", count=1)) == 1
    assert events.post(shop, service, events.sign_up("sue"), url=url, token="") == [202]
    assert witness.mails("sue@example.com", count=1)
    assert len(witness.mails("sid@example.com")) == 1


def test_the_sidecar_says_503_while_nats_is_away_and_nothing_accepted_is_lost(
    shop: str, service: str, witness: Sink, release: str
) -> None:
    url = sink_of(shop, service)
    kubectl("scale", "statefulset/emailflow-nats", "--replicas=0", "--namespace", release)
    wait("pod", "emailflow-nats-0", release, until="delete")
    assert events.post(shop, service, events.sign_up("soon"), url=url, token="") == [0]
    kubectl("scale", "statefulset/emailflow-nats", "--replicas=1", "--namespace", release)
    wait("pod", "emailflow-nats-0", release, until="condition=Ready")
    assert events.post(shop, service, events.sign_up("soon"), url=url, token="", attempts=60) == [202]
    assert len(witness.mails("soon@example.com", count=1, seconds=60)) == 1


def test_a_job_with_a_sidecar_completes(shop: str, witness: Sink) -> None:
    cluster.apply(cluster.manifest("job.yaml"), shop)
    wait("job", "emits", shop, until="condition=Complete")
    assert len(witness.mails("jobs@example.com", count=1)) == 1
