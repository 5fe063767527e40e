"""The health checks and actions for Argo CD, run by Argo CD's own Lua over what the API server says."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.integration.operator.conftest import Space

from . import states
from .conftest import ROOT, Object

FOLDER = ROOT / "deploy/argocd/resource_customizations/emailflow.dev"
KINDS = sorted(each.parent.name for each in FOLDER.glob("*/health.lua"))
ACTIONS = sorted(each.parent.parent.name for each in FOLDER.glob("*/actions/discovery.lua"))
JUDGED = {"Ready", "Reconciling", "Stalled"}
WRITES = "EMAILFLOW_WRITE_TESTDATA" in os.environ


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def told(value: Object) -> tuple[Any, list[tuple[str, str, str]], bool]:
    """The spec and what health is judged by, without what differs from run to run."""
    status = value.get("status") or {}
    conditions = [
        (each["type"], each["status"], each["reason"])
        for each in status.get("conditions") or []
        if each["type"] in JUDGED
    ]
    # Their ports are free ones.
    spec = {key: item for key, item in value["spec"].items() if key not in {"nats", "smtp"}}
    return spec, conditions, status.get("observedGeneration") == value["metadata"]["generation"]


def test_there_is_a_health_check_for_each_kind() -> None:
    crds = [loaded(path)["spec"]["names"]["kind"] for path in (ROOT / "crds").glob("*.yaml")]
    assert sorted(crds) == KINDS


def test_argocd_cm_is_what_the_folder_says() -> None:
    check = [sys.executable, ROOT / "build/argocd.py", "--check"]
    assert subprocess.run(check, cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("kind", KINDS)
def test_health_is_what_health_test_says(kind: str, argo_cd: Any) -> None:
    cases = loaded(FOLDER / kind / "health_test.yaml")["tests"]
    used = {case["inputPath"] for case in cases}
    assert used == {f"testdata/{path.name}" for path in (FOLDER / kind / "testdata").glob("*.yaml")}
    for case in cases:
        assert argo_cd.health(loaded(FOLDER / kind / case["inputPath"])) == case["healthStatus"]


@pytest.mark.parametrize("kind", ACTIONS)
def test_actions_do_what_action_test_says(kind: str, argo_cd: Any) -> None:
    folder = FOLDER / kind / "actions"
    cases = loaded(folder / "action_test.yaml")
    for case in cases["discoveryTests"]:
        wanted = {each["name"]: not each["disabled"] for each in case["result"]}
        assert argo_cd.actions(loaded(folder / case["inputPath"])) == wanted
    for case in cases["actionTests"]:
        left = argo_cd.after(case["action"], loaded(folder / case["inputPath"]))
        assert left == loaded(folder / case["expectedOutputPath"])


async def test_the_testdata_is_what_the_api_server_says(
    apiserver: Any,
    api: Any,
    namespaces: Any,
    space: Any,
    nats_server: Any,
    start_operator: Any,
    pod: Any,
    mail_port: int,
) -> None:
    def keep(kind: str, name: str, namespace: str, file: str) -> None:
        dump = apiserver("get", kind, name, f"--namespace={namespace}", "-o=yaml")
        if WRITES:
            (FOLDER / file).write_text(dump)
        assert told(yaml.safe_load(dump)) == told(loaded(FOLDER / file)), file

    spaces = [Space(apiserver, api, namespaces.create()) for _ in range(4)]
    unused = iter(spaces)
    watched = [option for each in (space, *spaces) for option in ("--watch-namespace", each.name)]
    operator = await start_operator(*watched)
    await states.whole(space, pod, nats_server.url, mail_port, keep)
    await states.runtimes(lambda: next(unused), nats_server.url, keep)
    await states.lonely(next(unused), keep)
    await operator.stop()
    states.unseen(space, keep)
