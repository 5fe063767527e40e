"""The cluster, through the user's own kubectl: its contexts, ways to log in and proxies come for free."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple

import typer

from emailflow_runtime.errors import EmailFlowError

CALL_WITHIN = 60
"""Seconds for one question to the API server."""
STOP_WITHIN = 5

Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Else the context's own.")]
Context = Annotated[str, typer.Option(help="Of the kubeconfig; else the current one.")]
Kubeconfig = Annotated[str, typer.Option(help="Else what kubectl uses.")]


class KubectlFailed(EmailFlowError):
    """kubectl is not there, or says no; its own words are the message."""

    reason = "KubectlFailed"


class Kubectl(NamedTuple):
    """kubectl with what is to be said each time. KUBECTL names the program, if it is another."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        settings = {"--kubeconfig": self.kubeconfig, "--context": self.context, "--namespace": self.namespace}
        said = [f"{option}={value}" for option, value in settings.items() if value]
        return [os.environ.get("KUBECTL") or "kubectl", *said, *arguments]

    def ask(self, *arguments: str) -> str:
        """What kubectl prints. Raises KubectlFailed."""
        try:
            answer = subprocess.run(
                self.command(*arguments), capture_output=True, text=True, timeout=CALL_WITHIN, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise KubectlFailed(f"kubectl can't be run: {type(error).__name__}") from error
        if answer.returncode:
            raise KubectlFailed(answer.stderr.strip() or f"kubectl ended with {answer.returncode}")
        return answer.stdout

    def get(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects that `kubectl get` finds. Raises KubectlFailed."""
        found = json.loads(self.ask("get", *arguments, "--output=json"))
        items: list[dict[str, Any]] = found.get(
            "items", [found] if found.get("metadata", {}).get("name") else []
        )
        return items

    def hand_over(self, *arguments: str) -> int:
        """Run kubectl on this terminal; how it ended. Raises KubectlFailed."""
        try:
            return subprocess.run(self.command(*arguments), check=False).returncode
        except OSError as error:
            raise KubectlFailed(f"kubectl can't be run: {type(error).__name__}") from error

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """A port of loopback that leads to a port of `target` (`pod/name`). Raises KubectlFailed."""
        command = self.command("port-forward", "--address=127.0.0.1", target, f":{port}")
        try:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as error:
            raise KubectlFailed(f"kubectl can't be run: {type(error).__name__}") from error
        with process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                if not line.startswith("Forwarding from 127.0.0.1:"):
                    process.terminate()
                    said = process.stderr.read().strip() if process.stderr else ""
                    raise KubectlFailed(said or "kubectl port-forward ended at once")
                yield int(line.removeprefix("Forwarding from 127.0.0.1:").partition(" ")[0])
            finally:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()


class RuntimePods(NamedTuple):
    """The pods of one EmailRuntime."""

    kubectl: Kubectl
    runtime: str

    @property
    def selector(self) -> str:
        """Their labels."""
        from emailflow_operator.reconcile.children.labels import pod_selector

        return ",".join(f"{name}={value}" for name, value in pod_selector(self.runtime).items())

    def one(self) -> str:
        """The name of one that is ready, else of one that runs. Raises KubectlFailed."""
        return self.one_with_namespace()[1]

    def one_with_namespace(self) -> tuple[str, str]:
        """Namespace and name of one that is ready, else of one that runs. Raises KubectlFailed."""
        found = self.kubectl.get("pods", f"--selector={self.selector}")
        running = [pod for pod in found if pod.get("status", {}).get("phase") == "Running"]
        if not running:
            raise KubectlFailed(f"no pod of EmailRuntime {self.runtime} runs here (is --namespace its own?)")
        about = max(running, key=_is_ready)["metadata"]
        return about["namespace"], about["name"]

    def run(self, arguments: Sequence[str]) -> int:
        """Run `emailflow …` in one of them, on this terminal; how it ended. Raises KubectlFailed."""
        from emailflow_operator.reconcile.children.deployment import CONTAINER

        pod = self.one()
        return self.kubectl.hand_over(
            "exec", f"pod/{pod}", f"--container={CONTAINER}", "--", "emailflow", *arguments
        )


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
