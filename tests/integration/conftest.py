"""A real kube-apiserver for the tests that want one, with the definitions in it, and kubectl to ask it.

KUBEBUILDER_ASSETS names a folder with etcd, kube-apiserver and kubectl; without it they are built once. No
controller runs, so nothing but the API server's own judgement is tested, and namespaces are never removed.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT = Path(__file__).parents[2]
TOKEN = "only-for-this-test-run"
READY_SECONDS = 90
"""The first start on a busy machine takes 20 s."""


class Kubectl(NamedTuple):
    """kubectl with a user who may do everything."""

    program: Path
    server: str
    authority: Path
    """The certificate (PEM) that the server made for itself."""

    def run(self, *arguments: str, manifests: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl; `manifests` is YAML for `-f -`."""
        access = [f"--server={self.server}", f"--token={TOKEN}", f"--certificate-authority={self.authority}"]
        environment = {"HOME": str(self.authority.parent), "PATH": os.environ["PATH"]}
        command = [self.program, *access, *arguments]
        return subprocess.run(
            command, input=manifests or "", env=environment, capture_output=True, text=True, check=False
        )

    def __call__(self, *arguments: str, manifests: str | None = None) -> str:
        """What kubectl prints; the test fails when kubectl does."""
        answer = self.run(*arguments, manifests=manifests)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


class Programs:
    """Processes that write their logs into a folder and end, the last one first, by their ids."""

    def __init__(self, assets: Path, folder: Path) -> None:
        self.assets = assets
        self.folder = folder
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            command = [self.assets / name, *options]
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        self._running.append(process)
        return process

    def stop(self) -> None:
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port that nobody had a moment ago: kube-apiserver refuses 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def present_to_webhooks(folder: Path, key: ec.EllipticCurvePrivateKey, pem: bytes) -> None:
    """Have the API server present a client certificate, `webhooks.crt`, which has signed itself, to every
    webhook that asks for one."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "apiserver")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "webhooks.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "webhooks.key").write_bytes(pem)
    client = {"client-certificate": str(folder / "webhooks.crt"), "client-key": str(folder / "webhooks.key")}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": client}]}
    (folder / "webhooks.kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    version = "apiserver.config.k8s.io/v1"
    how = {
        "apiVersion": version,
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(folder / "webhooks.kubeconfig"),
    }
    plugins = [
        {"name": f"{kind}AdmissionWebhook", "configuration": how} for kind in ("Validating", "Mutating")
    ]
    admission = {"apiVersion": version, "kind": "AdmissionConfiguration", "plugins": plugins}
    (folder / "admission.yaml").write_text(yaml.safe_dump(admission))


def start_apiserver(programs: Programs) -> Kubectl:
    """Start etcd on a Unix socket and kube-apiserver on a free port, and wait until it is ready."""
    folder, port = programs.folder, free_port()
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,  # the server reads no PKCS 8
        serialization.NoEncryption(),
    )
    (folder / "accounts.key").write_bytes(pem)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    present_to_webhooks(folder, key, pem)
    etcd = ["--listen-client-urls=unix://etcd:1", "--advertise-client-urls=unix://etcd:1"]
    programs.start("etcd", "--data-dir=data", "--unsafe-no-fsync", "--listen-peer-urls=unix://peers:1", *etcd)
    server = programs.start(
        "kube-apiserver",
        "--etcd-servers=unix://etcd:1",
        "--cert-dir=certificates",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        "--service-account-key-file=accounts.key",
        "--service-account-signing-key-file=accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--admission-control-config-file=admission.yaml",
        "--disable-admission-plugins=ServiceAccount",  # nobody makes the accounts that it asks for
    )
    kubectl = Kubectl(
        programs.assets / "kubectl", f"https://127.0.0.1:{port}", folder / "certificates/apiserver.crt"
    )
    for _ in range(READY_SECONDS):
        if kubectl.run("get", "--raw=/readyz").returncode == 0:
            return kubectl
        try:
            server.wait(timeout=1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"kube-apiserver isn't ready:\n{(folder / 'kube-apiserver.log').read_text()[-3000:]}")


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """An API server with the project's definitions, all of them Established."""
    build = subprocess.run(
        [sys.executable, ROOT / "build/apiserver.py"], stdout=subprocess.PIPE, text=True, check=True
    )
    programs = Programs(Path(build.stdout.strip()), tmp_path_factory.mktemp("apiserver"))
    try:
        kubectl = start_apiserver(programs)
        kubectl("apply", "--server-side", f"--filename={ROOT / 'crds'}")
        kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield kubectl
    finally:
        programs.stop()


class Namespaces:
    """Namespaces of one test run, each used once."""

    def __init__(self, kubectl: Kubectl) -> None:
        self._kubectl = kubectl
        self._count = 0

    def create(self, labels: str = "") -> str:
        """A new namespace; `labels` as kubectl takes them."""
        self._count += 1
        name = f"test-{self._count}"
        self._kubectl("create", "namespace", name)
        if labels:
            self._kubectl("label", "namespace", name, labels)
        return name


@pytest.fixture(scope="session")
def namespaces(apiserver: Kubectl) -> Namespaces:
    """Makes namespaces."""
    return Namespaces(apiserver)


@pytest.fixture
def namespace(namespaces: Namespaces) -> str:
    """A namespace of the test's own."""
    return namespaces.create()
