"""An earlier version is upgraded with people inside: nobody is lost, nobody is mailed twice.

build/e2e names the earlier version: its chart in EMAILFLOW_BEFORE, its image in EMAILFLOW_BEFORE_IMAGE. This
runs behind test_uninstall.py, and so on the streams that an uninstalled release has left.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import cluster, events
from tests.e2e.cluster import CHART, Sink, get, kubectl, listed, wait
from tests.e2e.conftest import NAMESPACE, SHARES, apply_example, image_values, public, start_producer
from tests.e2e.test_live_changes import TOUR, tour

BEFORE = os.environ.get("EMAILFLOW_BEFORE", "")
BEFORE_IMAGE = os.environ.get("EMAILFLOW_BEFORE_IMAGE", "")
HERE = "upgrade"
LONG = "PT45S"
"""A wait that an upgrade fits into."""


@pytest.fixture(scope="module")
def earlier(storage: list[str], witness: Sink) -> Iterator[str]:
    """The earlier version, with a runtime of its own in the namespace HERE; that namespace's producer."""
    if not BEFORE:
        pytest.skip("EMAILFLOW_BEFORE names no chart")
    # With its own keys: those of the uninstalled release may be of a version that it doesn't know.
    kubectl("delete", "secret", "emailflow-nats-auth", "--namespace", NAMESPACE, "--ignore-not-found")
    cluster.helm("upgrade", "--install", *chart(Path(BEFORE), BEFORE_IMAGE), *storage, timeout=240)
    cluster.make_namespace(HERE)
    apply_example(HERE, public(HERE))
    yield start_producer(HERE)
    kubectl("delete", "emailruntimes", "--all", "--namespace", HERE)


def chart(folder: Path, image: str) -> list[str]:
    """Helm's arguments for one version."""
    where = [cluster.RELEASE, str(folder), f"--namespace={NAMESPACE}", "--create-namespace"]
    return [*where, *image_values(image), "--wait", "--timeout=3m"]


def images() -> set[str]:
    """What the runtime's pods run."""
    pods = listed("pods", HERE, "--selector=app.kubernetes.io/name=emailflow-runtime")
    return {pod["spec"]["containers"][0]["image"] for pod in pods}


def rollout_status() -> None:
    """Until all of the runtime's pods are as they shall be."""
    wait("deployment", "emailruntime-default", HERE, until="create")
    kubectl("rollout", "status", "deployment/emailruntime-default", "--namespace", HERE, "--timeout=90s")


def started(name: str) -> dict[str, object]:
    return events.sign_up(name) | {"type": TOUR, "data": {"email": f"{name}@example.com", "name": name}}


def earlier_url() -> str:
    """Where producers of the earlier version post; its Service stays when it is upgraded."""
    services = cluster.names("services", HERE)
    name = "emailflow-default" if "emailflow-default" in services else "emailruntime-default"
    return f"http://{name}.{HERE}.svc/events"


def token_of(producer: str, name: str) -> str:
    """The token that the earlier version takes: until tokens were for one runtime they were for all."""
    answer = events.post(HERE, producer, started(name), url=earlier_url(), token="/token/earlier")
    return "/token/earlier" if answer == [202] else "/token/token"


def test_people_inside_go_on_and_each_mail_comes_once(
    earlier: str, storage: list[str], witness: Sink
) -> None:
    """Some wait, events come all the time, and the mail server answers only when all is over."""
    cluster.apply(tour("tips-free").replace("PT10S", LONG), HERE)
    wait("ef", "tour", HERE, until="condition=Ready")
    assert images() == {BEFORE_IMAGE}
    waiting = [f"wanda{number}" for number in range(5)]
    token = token_of(earlier, waiting[0])
    assert events.post(HERE, earlier, *map(started, waiting), url=earlier_url(), token=token) == [202] * 5
    assert len(witness.counts("wanda", distinct=5)) == 5
    witness.hold()
    try:
        with events.load(HERE, earlier, "uma", events.sign_up("NAME"), url=earlier_url()) as accepted:
            assert witness.counts("uma", distinct=1)
            cluster.helm("upgrade", *chart(CHART, cluster.IMAGE), *storage, *SHARES, timeout=240)
            replaced = f"jsonpath={{.spec.template.spec.containers[0].image}}={cluster.IMAGE}"
            wait("deployment", "emailruntime-default", HERE, until="create")
            wait("deployment", "emailruntime-default", HERE, until=replaced)
            rollout_status()
            witness.release()
            assert events.post(HERE, earlier, events.sign_up("after"), attempts=60) == [202]
            assert len(witness.mails("after@example.com", count=1, seconds=60)) == 1
    finally:
        witness.release()
    wait("deployment", "emailflow-default", HERE, until="delete")
    assert witness.counts("uma", distinct=len(accepted)) == {f"{name}@example.com": 1 for name in accepted}
    for name in waiting:
        _, told = witness.mails(f"{name}@example.com", count=2, seconds=90)
        assert "three tips for your first order" in told["subject"]
        assert len(witness.mails(f"{name}@example.com")) == 2


def test_credentials_of_the_earlier_version_are_gone(earlier: str) -> None:
    """Streams came into an account of the runtime's own: what was handed out before lets in nobody."""
    if "emailflow-nats" in cluster.names("secrets", HERE):
        assert not get("secret", "emailflow-nats", HERE).get("data")
    for name in ("runtime", "producer", "reader"):
        assert "default.creds" in get("secret", f"emailflow-nats-{name}", HERE)["data"]
