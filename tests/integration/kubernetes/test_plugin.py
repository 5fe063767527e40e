"""`kubectl emailflow` on a real API server, run by kubectl itself as its plugin."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FLOW = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: cart}
spec:
  trigger: {types: [com.example.cart]}
  steps: [{name: remind, send: {templateRef: {name: remind}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: remind}
spec: {subject: "Hi", markdown: "Hi"}
"""
CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "TemplateNotFound",
    "message": "there is no template remind",
    "lastTransitionTime": "2026-11-24T12:00:00Z",
    "observedGeneration": 1,
}


class Plugin:
    """A folder of PATH with the plugin, and a kubeconfig that leads to the server."""

    def __init__(self, apiserver: Any, namespace: str, folder: Path) -> None:
        self.apiserver = apiserver
        self.namespace = namespace
        self._folder = folder
        for name, module in (
            ("kubectl-emailflow", "emailflow_cli.kubectl_plugin"),
            ("kubectl_complete-emailflow", "emailflow_cli.kubectl_complete"),
        ):
            script = folder / name
            script.write_text(f"#!{sys.executable}\nfrom {module} import main\nmain()\n")
            script.chmod(0o755)
        cluster = {"server": apiserver.server, "certificate-authority": str(apiserver.authority)}
        token = (apiserver.authority.parents[1] / "tokens.csv").read_text().partition(",")[0]
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "user": "admin", "namespace": namespace}}
            ],
            "current-context": "test",
        }
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(config))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        path = f"{self._folder}:{self.apiserver.program.parent}:{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "KUBECONFIG": str(self.kubeconfig)}
        command = [self.apiserver.program, *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    def __call__(self, *arguments: str) -> str:
        answer = self.run("emailflow", *arguments)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout


@pytest.fixture
def plugin(apiserver, namespace, tmp_path):
    apiserver("apply", f"--namespace={namespace}", "--filename=-", manifests=FLOW)
    return Plugin(apiserver, namespace, tmp_path)


def say(plugin, **status):
    patch = json.dumps({"status": status})
    plugin.apiserver(
        "patch",
        "emailflows",
        "cart",
        f"-n{plugin.namespace}",
        "--subresource=status",
        "--type=merge",
        f"-p{patch}",
    )


def test_status_shows_conditions_and_counts(plugin):
    say(plugin, conditions=[CONDITION], journeys=12, pendingEvents=3, behindRetention=2)

    table = plugin("status").splitlines()
    rows = json.loads(plugin("status", "-o", "json"))

    assert table[0].split() == ["NAMESPACE", "KIND", "NAME", "READY", "REASON", "COUNTS", "MESSAGE"]
    assert [line.split()[1:5] for line in table[1:]] == [
        ["EmailFlow", "cart", "False", "TemplateNotFound"],
        ["EmailTemplate", "remind", "Unknown", "NotSeenYet"],
    ]
    assert rows[0]["counts"] == "12 journeys, 3 pending, 2 lost"
    assert rows[0]["status"]["conditions"] == [CONDITION]


def test_status_of_one_namespace_or_all(plugin, apiserver):
    apiserver("create", "namespace", f"{plugin.namespace}-other")
    apiserver("apply", f"--namespace={plugin.namespace}-other", "--filename=-", manifests=FLOW)

    mine = json.loads(plugin("status", "-o", "json"))
    named = json.loads(plugin("status", "-n", f"{plugin.namespace}-other", "-o", "json"))
    everything = json.loads(plugin("status", "-A", "-o", "json"))

    assert {each["namespace"] for each in mine} == {plugin.namespace}
    assert {each["namespace"] for each in named} == {f"{plugin.namespace}-other"}
    assert {each["namespace"] for each in everything} >= {plugin.namespace, f"{plugin.namespace}-other"}


def test_a_flow_is_suspended_and_resumed(plugin, apiserver):
    def suspended():
        return apiserver("get", "emailflows", "cart", f"-n{plugin.namespace}", "-ojsonpath={.spec.suspend}")

    assert plugin("suspend", "cart") == "emailflow/cart suspended\n"
    assert suspended() == "true"
    assert json.loads(plugin("status", "-o", "json"))[0]["reason"] == "Suspended"

    assert plugin("resume", "emailflow/cart") == "emailflow/cart resumed\n"
    assert suspended() == "false"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("suspend", "gone"), 1, "NotFound"),
        (("suspend", "emailtemplate/remind"), 2, "expected one of"),
        (("status", "--context", "gone"), 1, "KubectlFailed"),
        (("dead-letters", "list"), 1, "no pod of EmailRuntime default runs here"),
        (("replay", "--flow", "a/b"), 1, "no pod of EmailRuntime default runs here"),
        (("events", "send", "com.example.cart"), 1, "no pod of EmailRuntime default runs here"),
        (("events", "send", "com.example.cart", "-d", "{"), 2, "JSON"),
    ],
)
def test_what_can_t_be_done_is_said_with_a_reason(plugin, arguments, code, said):
    answer = plugin.run("emailflow", *arguments)

    assert answer.returncode == code
    assert said in answer.stderr


def test_kubectl_completes_the_plugin_s_words(plugin):
    answer = plugin.run("__complete", "emailflow", "s")

    words = [line.partition("\t")[0] for line in answer.stdout.splitlines()]
    assert words == ["status", "suspend", ":4"]
