"""One installation of the chart for all tests, and in it the onboarding example, mailing to a witness.

build/e2e makes the cluster and loads the images. Files run in the order of their names: test_uninstall.py is
last, since it takes the installation away. Every namespace enforces Pod Security `restricted`.
"""

import itertools
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e import cluster
from tests.e2e.cluster import CHART, HERE, ROOT, WAIT, Sink, get, kubectl, listed, run, wait
from tests.e2e.rights import Ledger, rights_in

NAMESPACE = "emailflow"
SHOP = "shop"
SHARES = ["--set=nats.storagePerRuntime=512Mi"]
"""What a runtime may take of NATS' volume. Charts of earlier versions don't know it."""
SMTP = {"spec": {"smtp": {"host": "sink.witness.svc", "port": 587, "tls": "None"}}}
KEYRING = "k1: 0123456789abcdef0123456789abcdef"


def image_values(image: str = cluster.IMAGE) -> list[str]:
    """The images under test (or another of the project), as values of the chart."""
    repository, _, tag = image.rpartition(":")
    values = {"image.repository": repository, "image.tag": tag}
    if cluster.NATS_IMAGE:
        repository, _, tag = cluster.NATS_IMAGE.rpartition(":")
        values |= {"nats.image.repository": repository, "nats.image.tag": tag}
    return [f"--set={name}={value}" for name, value in values.items()]


@pytest.fixture(scope="session")
def storage() -> Iterator[list[str]]:
    """Values for NATS' volume: the cluster's own storage, else a folder here, where its node then is."""
    # Runtimes of many tests share the volume, and their streams stay: small logs then.
    sizes = ["--set=nats.persistence.size=8Gi", "--set=operator.extraArgs={--events-bytes=268435456}"]
    if kubectl("get", "storageclass", "--output", "name").strip():
        yield sizes
        return
    with tempfile.TemporaryDirectory(prefix="emailflow-nats-") as folder:
        Path(folder).chmod(0o777)
        kubectl("apply", "--filename", "-", stdin=_volume(folder))
        yield [*sizes, "--set=nats.persistence.storageClassName=e2e"]


def _volume(folder: str) -> str:
    return f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: e2e-nats}}
spec:
  capacity: {{storage: 8Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: e2e
  local: {{path: {folder}}}
  nodeAffinity:
    required: {{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/os, operator: Exists}}]}}]}}
"""


MEASURED: dict[str, str] = {}


@pytest.fixture(scope="session")
def figures() -> dict[str, str]:
    """What was measured, with its unit; printed at the end, with the machine. No test judges times."""
    return MEASURED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures; into the file EMAILFLOW_FIGURES, too, when it is named."""
    machine = (
        f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, {platform.system()} {platform.machine()}"
    )
    lines = [f"{name}: {value}" for name, value in MEASURED.items()]
    if lines:
        terminalreporter.section(f"figures ({machine})")
        terminalreporter.write("".join(f"{line}\n" for line in lines))
    if report := os.environ.get("EMAILFLOW_FIGURES"):
        Path(report).write_text("".join(f"{line}\n" for line in [machine, *lines]))


@pytest.fixture(scope="session")
def witness() -> Sink:
    """The SMTP server that all mails go to."""
    namespace = "witness"
    cluster.make_namespace(namespace)
    kubectl("create", "configmap", "sink", "--namespace", namespace, f"--from-file={HERE / 'sink.py'}")
    cluster.apply(cluster.manifest("sink.yaml"), namespace)
    wait("pod", "sink", namespace, until="condition=Ready")
    return Sink(namespace)


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """Counts what the operator asks of the API server, from before it is installed."""
    answer = run("helm", "template", cluster.RELEASE, str(CHART), f"--namespace={NAMESPACE}")
    assert answer.returncode == 0, answer.stderr
    objects = [each for each in yaml.safe_load_all(answer.stdout) if each]
    roles = [each for each in objects if each["kind"] in {"Role", "ClusterRole"}]
    return Ledger(NAMESPACE, "emailflow-operator", rights_in(roles, "emailflow-operator"))


@pytest.fixture(scope="session")
def began(storage: list[str], witness: Sink, ledger: Ledger) -> float:
    """When installing began. The witness is there before, so that its start isn't measured."""
    cluster.make_namespace(NAMESPACE)
    return time.monotonic()


@pytest.fixture(scope="session")
def release(storage: list[str], began: float) -> str:
    """The chart, installed; the namespace."""
    cluster.helm(
        "install", cluster.RELEASE, str(CHART), f"--namespace={NAMESPACE}", *image_values(), *storage, *SHARES
    )
    return NAMESPACE


@pytest.fixture(scope="session")
def admission(release: str) -> None:
    """Returns once the API server knows whom to trust as the webhooks; until then it passes over them."""
    written = "jsonpath={.webhooks[0].clientConfig.caBundle}"
    wait("validatingwebhookconfiguration", "emailflow", release, until=written)
    wait("mutatingwebhookconfiguration", "emailflow-injector", release, until=written)


@pytest.fixture(scope="session")
def reaper() -> str:
    """The namespace of a pod that may kill any process of the node, as a crash would: without asking."""
    namespace = "reaper"
    kubectl("create", "namespace", namespace)
    cluster.apply(cluster.manifest("reaper.yaml"), namespace)
    wait("pod", "reaper", namespace, until="condition=Ready")
    return namespace


@pytest.fixture(scope="session")
def shop(release: str, witness: Sink, figures: dict[str, str]) -> str:
    """A namespace with the onboarding example, its provider leading to the witness, once it is Ready."""
    cluster.make_namespace(SHOP)
    apply_example(SHOP, public(SHOP))
    pods = listed("pods", SHOP, "--selector=app.kubernetes.io/name=emailflow-runtime")
    started = [seconds for pod in pods if (seconds := start_seconds(pod)) is not None]
    figures["runtime container started -> pod Ready"] = f"{max(started, default=0):.0f} s"
    return SHOP


def start_seconds(pod: dict[str, Any]) -> float | None:
    """From the start of a pod's container until it was Ready, as the kubelet noted it: whole seconds."""
    [container] = pod["status"]["containerStatuses"]
    [ready] = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    if ready["status"] != "True" or "running" not in container["state"]:
        return None  # one that is coming or going
    started = datetime.fromisoformat(container["state"]["running"]["startedAt"])
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - started).total_seconds()


def patch(kind: str, name: str, change: dict[str, Any], namespace: str = SHOP) -> None:
    """Merge a change into an object."""
    kubectl("patch", kind, name, "--namespace", namespace, "--type=merge", f"--patch={json.dumps(change)}")


MARK = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: mark}}
spec:
  trigger: {{types: [com.example.mark]}}
  steps: [{{name: mark{number}, wait: {{for: PT1H}}}}]
"""
_numbers = itertools.count()


def arrived(kind: str, name: str, namespace: str) -> None:
    """Until the runtime has what was changed: it reads plans in order, and reports on the last."""
    generation = get(kind, name, namespace)["metadata"]["generation"]
    wait(kind, name, namespace, until=f"jsonpath={{.status.observedGeneration}}={generation}")
    cluster.apply(MARK.format(number=next(_numbers)), namespace)
    generation = get("ef", "mark", namespace)["metadata"]["generation"]
    wait("ef", "mark", namespace, until=f"jsonpath={{.status.observedGeneration}}={generation}")
    wait("ef", "mark", namespace, until="condition=Ready")


@pytest.fixture(scope="session")
def producer(shop: str) -> str:
    """A pod beside the flow, with a producer's credentials; its name."""
    return start_producer(shop)


def start_producer(namespace: str) -> str:
    """A service's pod in a namespace; its name."""
    cluster.apply(cluster.manifest("producer.yaml").replace("$NAMESPACE", namespace), namespace)
    wait("pod", "producer", namespace, until="condition=Ready")
    return "producer"


def public(namespace: str) -> dict[str, Any]:
    """What an EmailRuntime says of links in its mails; their keys are made here, in the namespace."""
    keyring = f"--from-literal=keyring={KEYRING}"
    kubectl("create", "secret", "generic", "links", "--namespace", namespace, keyring)
    url = f"http://emailruntime-default.{namespace}.svc:8082"
    return {"publicUrl": url, "keysSecretRef": {"name": "links", "key": "keyring"}}


def apply_example(namespace: str, runtime: dict[str, Any] | None = None) -> None:
    """The onboarding example in a namespace, until it is Ready; mails go to the witness.

    `runtime` is added to the EmailRuntime's spec before it is there.
    """
    files = sorted((ROOT / "examples/onboarding").glob("*.yaml"))
    objects = [each for file in files for each in yaml.safe_load_all(file.read_text()) if each]
    for each in objects:
        if each["kind"] == "EmailRuntime":
            each["spec"] |= runtime or {}
    cluster.apply(yaml.safe_dump_all(objects), namespace)
    patch("epr", "relay", SMTP, namespace)
    wait("ef", "onboarding", namespace, until="condition=Ready")
    rollout = ("rollout", "status", "deployment", "--selector=emailflow.dev/runtime=default")
    kubectl(*rollout, "--namespace", namespace, f"--timeout={WAIT}s")


@pytest.fixture(scope="session")
def plain(release: str, witness: Sink) -> str:
    """A second namespace with the example as it is in the README, without a public URL."""
    cluster.make_namespace("plain")
    apply_example("plain")
    return "plain"
