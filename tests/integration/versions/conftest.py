"""An API server of these tests' own: they change definitions, which others share.

A second version does not exist yet. `definitions` makes one as the project will: the same schema under the
name v1beta1, converted by nobody.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.conftest import TOKEN, Kubectl, Programs, start_apiserver

ROOT = Path(__file__).parents[3]
OLD, NEW = "v1alpha1", "v1beta1"
WARNING = f"emailflow.dev/{OLD} is deprecated; use emailflow.dev/{NEW}"
PAGE = (ROOT / "docs/how-to/versions.md").read_text()

ASKED = 100
"""Times, a tenth of a second each."""
PLURALS = ("emailflows", "emailtemplates", "emailproviders", "eventtypes", "contactpolicies", "emailruntimes")

Object = dict[str, Any]


def definitions(*versions: str, storage: str, deprecated: str = "") -> list[Object]:
    """The six definitions with these versions, of which `storage` is the one that is stored."""
    made = []
    for path in sorted((ROOT / "crds").glob("*.yaml")):
        definition: Object = yaml.safe_load(path.read_text())
        (written,) = definition["spec"]["versions"]
        definition["spec"]["versions"] = [
            {**written, "name": name, "storage": name == storage, **_warning(name == deprecated)}
            for name in versions
        ]
        definition["spec"]["conversion"] = {"strategy": "None"}
        made.append(definition)
    return made


def _warning(deprecated: bool) -> Object:
    if not deprecated:
        return {}
    return {
        "deprecated": True,
        "deprecationWarning": f"emailflow.dev/{OLD} is deprecated; use emailflow.dev/{NEW}",
    }


def kinds(version: str) -> str:
    """All six in a version, as kubectl takes them."""
    return ",".join(f"{plural}.{version}.emailflow.dev" for plural in PLURALS)


def block(name: str) -> str:
    """The commands of the page that are marked with a name."""
    found = re.search(rf"^```sh {name}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found, name
    return found[1]


class Cluster:
    """An API server whose definitions change."""

    def __init__(self, kubectl: Kubectl, folder: Path) -> None:
        self.kubectl = kubectl
        self._kubeconfig = folder / "kubeconfig"
        access = {"server": kubectl.server, "certificate-authority": str(kubectl.authority)}
        config = {
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": access}],
            "users": [{"name": "test", "user": {"token": TOKEN}}],
        }
        self._kubeconfig.write_text(yaml.safe_dump(config))

    def apply(self, values: list[Object], *options: str) -> "subprocess.CompletedProcess[str]":
        """Server-side apply."""
        text = yaml.safe_dump_all(values)
        return self.kubectl.run("apply", "--server-side", "--filename=-", *options, manifests=text)

    def apply_definitions(self, *versions: str, storage: str, deprecated: str = "") -> Any:
        """Apply definitions; what kubectl answered."""
        values = definitions(*versions, storage=storage, deprecated=deprecated)
        return self.apply(values, "--force-conflicts")

    def define(self, *versions: str, storage: str, deprecated: str = "") -> Any:
        """Apply definitions, as an upgrade or a downgrade does, and wait until they count."""
        answer = self.apply_definitions(*versions, storage=storage, deprecated=deprecated)
        if answer.returncode == 0:
            # Established says nothing of a version that was added.
            for version in versions:
                assert any(self.can_read(version) for _ in range(ASKED)), version
        return answer

    def can_read(self, version: str) -> bool:
        """Whether the API server gives out the objects in a version."""
        return self.kubectl.run("get", kinds(version), "--namespace=default").returncode == 0

    def all(self, version: str) -> list[Object]:
        """All objects, as a version shows them."""
        text = self.kubectl("get", kinds(version), "--namespace=default", "-o=json", "--show-managed-fields")
        found: list[Object] = json.loads(text)["items"]
        return found

    def run(self, commands: str) -> str:
        """Run commands of the page as a person does."""
        environment = {
            "HOME": str(self._kubeconfig.parent),
            "KUBECONFIG": str(self._kubeconfig),
            "PATH": f"{self.kubectl.program.parent}:{os.environ['PATH']}",
        }
        answer = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def stored_versions(self) -> set[tuple[str, ...]]:
        """What the six definitions say was ever stored."""
        text = self.kubectl("get", "crd", "-o=yaml")
        return {tuple(each["status"]["storedVersions"]) for each in yaml.safe_load(text)["items"]}


@pytest.fixture(scope="session")
def assets() -> Path:
    """etcd, kube-apiserver and kubectl."""
    build = [sys.executable, ROOT / "build/apiserver.py"]
    return Path(subprocess.run(build, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


@pytest.fixture(scope="session")
def start_cluster(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Cluster]]:
    """Starts API servers without definitions; ends them all."""
    started: list[Programs] = []

    def start() -> Cluster:
        folder = tmp_path_factory.mktemp("versions")
        started.append(Programs(assets, folder))
        return Cluster(start_apiserver(started[-1]), folder)

    yield start
    for each in started:
        each.stop()
