"""kubectl and Helm against the cluster of the tests, and the pods that the tests talk through.

Nothing here waits by the clock: `kubectl wait` watches, and the sink answers when it has what was asked for.
"""

import json
import os
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/emailflow"
HERE = Path(__file__).parent
IMAGE = os.environ.get("EMAILFLOW_IMAGE", "localhost/emailflow:e2e")
NATS_IMAGE = os.environ.get("EMAILFLOW_NATS_IMAGE", "")
RELEASE = "emailflow"
WAIT = 90
"""Seconds that anything may take before a test fails."""
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


def run(*command: str, stdin: str = "", timeout: float = WAIT + 30) -> subprocess.CompletedProcess[str]:
    """Run a program with a bound on its time; its failure is the caller's to judge."""
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False, cwd=ROOT
    )


def kubectl(*arguments: str, stdin: str = "", timeout: float = WAIT + 30) -> str:
    """What kubectl prints; the test fails when kubectl does."""
    answer = run("kubectl", *arguments, stdin=stdin, timeout=timeout)
    assert answer.returncode == 0, f"kubectl {' '.join(arguments)}: {answer.stderr}"
    return answer.stdout


def helm(*arguments: str, timeout: float = WAIT + 30) -> str:
    """What Helm prints; the test fails when Helm does."""
    answer = run("helm", *arguments, timeout=timeout)
    assert answer.returncode == 0, f"helm {' '.join(arguments)}: {answer.stderr}"
    return answer.stdout


def refused(manifest: str, namespace: str) -> str:
    """What `kubectl apply` says to a manifest that must not be taken."""
    answer = run("kubectl", "apply", "--namespace", namespace, "--filename", "-", stdin=manifest)
    assert answer.returncode != 0, f"expected a refusal, got: {answer.stdout}"
    return answer.stderr


def apply(manifest: str, namespace: str) -> str:
    """Apply text of YAML; what kubectl says, warnings too."""
    answer = run("kubectl", "apply", "--namespace", namespace, "--filename", "-", stdin=manifest)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout + answer.stderr


def get(kind: str, name: str, namespace: str) -> dict[str, Any]:
    """One object."""
    text = kubectl("get", kind, name, "--namespace", namespace, "--output", "json")
    found: dict[str, Any] = json.loads(text)
    return found


def listed(kind: str, namespace: str, *options: str) -> list[dict[str, Any]]:
    """Objects of a namespace."""
    text = kubectl("get", kind, "--namespace", namespace, "--output", "json", *options)
    found: list[dict[str, Any]] = json.loads(text)["items"]
    return found


def names(kind: str, namespace: str, *options: str) -> set[str]:
    """The names of a namespace's objects, without those that are going."""
    found = [each["metadata"] for each in listed(kind, namespace, *options)]
    return {each["name"] for each in found if "deletionTimestamp" not in each}


def wait(kind: str, what: str, namespace: str, *, until: str, seconds: int = WAIT) -> None:
    """Until a condition (`condition=Ready`, `delete`, `jsonpath=…`) is met; else fails with the status."""
    options = ["--namespace", namespace, f"--for={until}", f"--timeout={seconds}s"]
    answer = run("kubectl", "wait", f"{kind}/{what}", *options, timeout=seconds + 30)
    if answer.returncode and not (until == "delete" and "not found" in answer.stderr.lower()):
        state = run("kubectl", "get", kind, what, "--namespace", namespace, "--output=jsonpath={.status}")
        raise AssertionError(f"{kind}/{what}: {answer.stderr}status: {state.stdout}")


def make_namespace(name: str, *labels: str) -> None:
    """A namespace that enforces Pod Security `restricted`."""
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, RESTRICTED, *labels)


def manifest(name: str) -> str:
    """A file of manifests/, for the image under test."""
    return (HERE / "manifests" / name).read_text().replace("$IMAGE", IMAGE)


def in_pod(namespace: str, pod: str, program: str, *arguments: str, container: str = "app") -> str:
    """Run a Python program in a pod; its standard output. Fails with its standard error."""
    where = ["--namespace", namespace, "--container", container, "--stdin", pod]
    return kubectl("exec", *where, "--", "python", "-", *arguments, stdin=program)


REAP = """
import os, signal, sys
from pathlib import Path

for entry in Path("/proc").iterdir():
    if entry.name.isdigit() and int(entry.name) != os.getpid():
        try:
            if sys.argv[1] in (entry / "cgroup").read_text():
                os.kill(int(entry.name), signal.Signals[sys.argv[2]])
                print(entry.name)
        except (FileNotFoundError, ProcessLookupError):
            pass
"""


def strike(namespace: str, pod: str, *, reaper: str, signal: str = "SIGKILL") -> None:
    """Send a signal to all processes of a pod's one container. The kubelet starts again what has ended."""
    [container] = get("pod", pod, namespace)["status"]["containerStatuses"]
    ended = in_pod(reaper, "reaper", REAP, container["containerID"].partition("//")[2], signal)
    assert ended.strip(), f"no process of {namespace}/{pod} was found"


class Sink:
    """What the SMTP server pod has been handed."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._base = f"/api/v1/namespaces/{namespace}/services/sink:http/proxy"

    def mails(self, to: str = "", *, count: int = 0, seconds: int = 30) -> list[dict[str, Any]]:
        """The mails to an address, as soon as there are `count`; fewer when that takes too long."""
        query = urllib.parse.urlencode({"to": to, "count": count, "wait": seconds if count else 0})
        found: list[dict[str, Any]] = json.loads(kubectl("get", "--raw", f"{self._base}/mails?{query}"))
        return found

    def counts(self, prefix: str, *, distinct: int = 0, seconds: int = 60) -> dict[str, int]:
        """How many mails each address that begins so has got, once there are so many addresses, or late."""
        query = urllib.parse.urlencode({"prefix": prefix, "distinct": distinct, "wait": seconds})
        found: dict[str, int] = json.loads(kubectl("get", "--raw", f"{self._base}/counts?{query}"))
        return found

    def certificate(self) -> str:
        """What it shows on port 465 (PEM); it is its own authority."""
        return kubectl("get", "--raw", f"{self._base}/files/certificate.pem")

    def accept(self, password: str) -> None:
        """From now on let in on port 465 whoever knows this password, and nobody else."""
        self._tell(f"password?is={password}")

    def hold(self) -> None:
        """From now on take mails and answer none."""
        self._tell("hold")

    def release(self) -> None:
        """Answer all that were held, and whatever comes."""
        self._tell("release")

    def _tell(self, what: str) -> None:
        kubectl("create", "--raw", f"{self._base}/{what}", "--filename", "-", stdin="{}")
