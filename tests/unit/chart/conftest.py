"""The chart as Helm renders it, parsed. HELM names the program, else the PATH has it, else the cluster."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/emailflow"
NAMESPACE = "mail-system"
Object = dict[str, Any]


def find_helm() -> str | None:
    """The Helm to use, if any."""
    if found := shutil.which(os.environ.get("HELM") or "helm"):
        return found
    if program := os.environ.get("EMAILFLOW_CLUSTER"):
        folder = subprocess.run([program, "bin"], capture_output=True, text=True, check=True).stdout.strip()
        return shutil.which("helm", path=folder)
    return None


class Rendered(NamedTuple):
    """What one set of values makes."""

    objects: list[Object]

    def kinds(self) -> set[str]:
        return {each["kind"] for each in self.objects}

    def all(self, kind: str) -> list[Object]:
        return [each for each in self.objects if each["kind"] == kind]

    def one(self, kind: str, name: str) -> Object:
        [found] = [each for each in self.all(kind) if each["metadata"]["name"] == name]
        return found


class Helm(NamedTuple):
    """`helm template` of the chart, as release `emailflow` in NAMESPACE."""

    program: str

    def run(self, *values: str) -> subprocess.CompletedProcess[str]:
        """Each of `values` is a pair for --set, or the path of a file of values."""
        command = [self.program, "template", "emailflow", str(CHART), f"--namespace={NAMESPACE}"]
        given = (f"--set={each}" if "=" in each else f"--values={each}" for each in values)
        options = ["--kube-version=1.33.0", *given]
        return subprocess.run(
            [*command, *options], capture_output=True, text=True, check=False, timeout=60, cwd=ROOT
        )

    def __call__(self, *values: str) -> Rendered:
        answer = self.run(*values)
        assert answer.returncode == 0, answer.stderr
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return Rendered([each for each in yaml.load_all(answer.stdout, Loader=loader) if each])

    def refusal(self, *values: str) -> str:
        answer = self.run(*values)
        assert answer.returncode != 0
        return answer.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    program = find_helm()
    if program is None:
        pytest.skip("there is no helm: HELM, the PATH and EMAILFLOW_CLUSTER lead to none")
    return Helm(program)


@pytest.fixture(scope="session")
def defaults(helm: Helm) -> Rendered:
    """The chart without any value set."""
    return helm()


@pytest.fixture(scope="session")
def everything(helm: Helm) -> Rendered:
    """The chart with all that is optional."""
    return helm(
        "nats.replicas=3",
        "networkPolicy.egress.enabled=true",
        "metrics.serviceMonitor.enabled=true",
        "metrics.podMonitor.enabled=true",
        "metrics.prometheusRule.enabled=true",
        "metrics.dashboard.enabled=true",
        "webhooks.certificates.mode=CertManager",
        "operator.podLabels.team=mail",
        "operator.priorityClassName=high",
        "imagePullSecrets={registry}",
    )


@pytest.fixture(scope="session")
def pod_templates() -> Callable[[Rendered], list[Object]]:
    """The pods that objects make, as `{metadata, spec}`."""

    def found(rendered: Rendered) -> list[Object]:
        pods = rendered.all("Pod")
        made = [
            each["spec"]["template"] for kind in ("Deployment", "StatefulSet") for each in rendered.all(kind)
        ]
        return [*pods, *made]

    return found
