"""Argo CD's own code beside a real API server and a real operator, and the manifests that people copy.

`argo_cd` runs tests/gitops: Argo CD's comparison, its Lua and its reading of argocd-cm, nothing of ours.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.integration.conftest import TOKEN
from tests.integration.operator.conftest import (  # noqa: F401 - fixtures
    api,
    free_port,
    kubeconfig,
    nats,
    nats_server,
    space,
    start_operator,
)

from emailflow_api.reading import read_documents

from .pod import RuntimePod

ROOT = Path(__file__).parents[3]
SETTINGS = "argocd"
MANAGER = "argocd-controller"
"""The field manager under which Argo CD applies."""
BLOCK = re.compile(r"^```yaml[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)

Object = dict[str, Any]


class Difference(NamedTuple):
    """What Argo CD would show as OutOfSync."""

    name: str
    way: str
    live: str
    wanted: str


class ArgoCD:
    """Asks the program with Argo CD's code."""

    def __init__(self, program: str, kubectl: Any) -> None:
        self._program = program
        self._kubectl = kubectl

    def _ask(self, command: str, objects: Iterable[Object], **more: Any) -> Any:
        request = {
            "server": self._kubectl.server,
            "token": TOKEN,
            "authority": str(self._kubectl.authority),
            "settings": SETTINGS,
            "objects": list(objects),
            **more,
        }
        answer = subprocess.run(
            [self._program, command],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def differences(self, objects: Iterable[Object]) -> list[Difference]:
        """What is OutOfSync, in each of the three ways that Argo CD compares."""
        wanted = list(objects)
        found = self._ask("compare", wanted)
        assert len(found) == 3 * len(wanted)
        return [
            Difference(each["name"], each["way"], each["live"], each["wanted"])
            for each in found
            if each["modified"]
        ]

    def health(self, value: Object) -> Any:
        """`{"status": …, "message": …}`."""
        return self._ask("judge", [value])[0]

    def actions(self, value: Object) -> dict[str, bool]:
        """Whether each action is offered."""
        return {each["name"]: not each.get("disabled", False) for each in self._ask("discover", [value])[0]}

    def after(self, action: str, value: Object) -> Object:
        """The object as the action leaves it."""
        left: Object = self._ask("act", [value], action=action)[0]
        return left

    def manifests(self, application: Object, paths: list[str]) -> list[str]:
        """Which files an Application takes for manifests; fails where it is no Application."""
        taken: list[str] = self._ask("select", [application], paths=paths)[0]
        return taken


@pytest.fixture(scope="session")
def argo_cd(apiserver: Any) -> ArgoCD:
    """Argo CD's code, with our argocd-cm in the cluster."""
    build = subprocess.run(
        [sys.executable, ROOT / "build/gitops.py"], stdout=subprocess.PIPE, text=True, check=True
    )
    apiserver("create", "namespace", SETTINGS)
    apiserver("apply", f"--filename={ROOT / 'deploy/argocd/argocd-cm.yaml'}")
    return ArgoCD(build.stdout.strip(), apiserver)


@pytest.fixture
async def pod(api: Any, namespace: str, tmp_path: Path) -> AsyncIterator[RuntimePod]:  # noqa: F811
    """The runtime pod of the test's namespace; the test starts it."""
    made = RuntimePod(api, namespace, tmp_path)
    yield made
    await made.stop()


async def _serve_mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As much of SMTP as a connection check needs."""
    writer.write(b"220 mail.test\r\n")
    while line := await reader.readline():
        writer.write(b"221 bye\r\n" if line.upper().startswith(b"QUIT") else b"250 mail.test\r\n")
    writer.close()


@pytest.fixture
async def mail_port() -> AsyncIterator[int]:
    """Where a mail server listens that takes every connection."""
    server = await asyncio.start_server(_serve_mail, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


# --- what people copy ------------------------------------------------------------------------------------


def example_folders() -> list[Path]:
    """Folders of examples/ that `kubectl apply -f` takes."""
    examples = ROOT / "examples"
    return sorted({path.parent for path in examples.rglob("*.yaml") if "tests" not in path.parts[-2:]})


def manifests_of(folder: Path) -> list[Object]:
    """The resources of a folder, in the order of its files."""
    texts = [path.read_text() for path in sorted(folder.glob("*.yaml"))]
    return [value for text in texts for value in yaml.safe_load_all(text) if value]


def samples_of(page: Path) -> list[Object]:
    """The resources of this API that a page shows."""
    return [
        dict(document.value)
        for text in BLOCK.findall(page.read_text())
        for document in read_documents(text, page.name)
        if document.api_version.startswith("emailflow.dev/")
    ]


def sources() -> dict[str, list[Object]]:
    """All that people copy, by where it stands."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    found = {str(page.relative_to(ROOT)): samples_of(page) for page in pages}
    found |= {str(folder.relative_to(ROOT)): manifests_of(folder) for folder in example_folders()}
    return {name: values for name, values in found.items() if values}


def tracked(value: Object, namespace: str) -> Object:
    """A copy with the annotation by which Argo CD knows its own, as it adds it before it compares."""
    copy: Object = json.loads(json.dumps(value))
    group = value["apiVersion"].rpartition("/")[0]
    identity = f"shop:{group}/{value['kind']}:{namespace}/{value['metadata']['name']}"
    copy["metadata"].setdefault("annotations", {})["argocd.argoproj.io/tracking-id"] = identity
    return copy


def placed(
    values: Iterable[Object], namespace: str, nats_url: str, mail_port: int | None = None
) -> list[Object]:
    """The resources in a namespace, as Argo CD places them; an EmailRuntime names the test's NATS, and where
    there is a mail server, an EmailProvider names that.

    `replicas` is 0, since nobody makes pods from Deployments here.
    """
    made = []
    for value in values:
        copy = tracked(value, namespace)
        copy["metadata"]["namespace"] = namespace
        if copy["kind"] == "EmailRuntime":
            copy["spec"] |= {"nats": {"url": nats_url}, "replicas": 0}
        if copy["kind"] == "EmailProvider" and mail_port is not None:
            copy["spec"]["smtp"] = {"host": "127.0.0.1", "port": mail_port, "tls": "None"}
        made.append(copy)
    return made


def text_of(values: Iterable[Object]) -> str:
    """YAML for kubectl."""
    return yaml.safe_dump_all(list(values))
