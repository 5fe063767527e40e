"""`emailflow dev` as its user runs it: a process of its own, asked over HTTP."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

START_WITHIN = 30
Wait = Callable[[Callable[[], Any]], Any]


def until(ask: Callable[[], Any], within: float = 30) -> Any:
    """The first true answer; the last one when time is up."""
    deadline = time.monotonic() + within
    while not (answer := ask()) and time.monotonic() < deadline:
        # Another process is asked over HTTP; it has no event to wait for.
        time.sleep(0.05)
    return answer


class Dev:
    """One `emailflow dev` on a folder; it can be killed and started again on the same state."""

    def __init__(self, folder: Path, state: Path, log: Path | None = None) -> None:
        self.folder = folder
        self.state = state
        self.ports: dict[str, int] = {}
        self.options: tuple[str, ...] = ()
        """Further ones for the command line."""
        self.program: tuple[str, ...] = ("-m", "emailflow_cli")
        """What Python runs."""
        self._process: subprocess.Popen[bytes] | None = None
        self.log = log or state.with_suffix(".log")

    def start(self) -> None:
        ports_file = self.log.with_suffix(".ports")
        ports_file.unlink(missing_ok=True)
        ports = ("--http-port", "0", "--smtp-port", "0", "--nats-port", "0")
        command = [sys.executable, *self.program, "dev", str(self.folder), *ports]
        command += ["--state", str(self.state), "--ports-file", str(ports_file), *self.options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        assert until(ports_file.exists, START_WITHIN), self.log.read_text()
        self.ports = json.loads(ports_file.read_text())

    def kill(self) -> None:
        """SIGKILL to the whole process group: nothing gets to say goodbye."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_alone(self) -> None:
        """SIGKILL to the process itself, as the kernel does when memory is short."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def nats_server_pid(self) -> int:
        """The process id of its nats-server."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        names = {int(pid): Path(f"/proc/{pid}/comm").read_text().strip() for pid in children}
        return next(pid for pid, name in names.items() if name == "nats-server")

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(20)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    def post(self, kind: str, data: dict[str, Any], event_id: str) -> int:
        """The status that the door answers; 0 when nobody does."""
        headers = {"ce-specversion": "1.0", "ce-type": kind, "ce-source": "/test", "ce-id": event_id}
        request = urllib.request.Request(
            f"{self.url}/events",
            data=json.dumps(data).encode(),
            headers={**headers, "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def mails(self, limit: int = 1000) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v1/messages?limit={limit}", timeout=20) as answer:
            found: list[dict[str, Any]] = json.load(answer)["messages"]
            return found

    def subjects(self) -> list[str]:
        return [mail["Subject"] for mail in self.mails()]


FLOW = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {name: hello}
spec:
  trigger: {types: [com.example.signed_up]}
  steps: [{name: hello, send: {templateRef: {name: hello}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {name: hello}
spec: {subject: "Hello {{ event.data.name }}", markdown: "Hi **{{ event.data.name }}**"}
"""


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "flow.yaml").write_text(FLOW)
    running = Dev(folder, tmp_path / "state")
    running.start()
    yield running
    running.close()
