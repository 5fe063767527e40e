"""The rig: a nats-server, a sink and a runtime, each a process of its own, with one set of manifests."""

import array
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from emailflow_api.compile import compile_resources
from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import Plans
from emailflow_api.reading import read_documents
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows, provision_streams
from emailflow_runtime.adapters.nats_server import NatsServer

HERE = Path(__file__).parent
START_WITHIN = 120.0
TYPE = "com.example.cart.updated"
SHOP = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {{name: default, namespace: shop}}
spec:
  nats: {{url: "{nats}"}}
  publicUrl: https://mail.example.com
  defaults: {{providerRef: {{name: sink}}, policyRef: {{name: offers}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: sink, namespace: shop}}
spec:
  type: Smtp
  smtp: {{host: 127.0.0.1, port: {sink}, tls: None}}
  rate: {{concurrency: 16}}
  from: {{address: hello@example.com, name: Example}}
---
apiVersion: emailflow.dev/v1alpha1
kind: ContactPolicy
metadata: {{name: offers, namespace: shop}}
spec: {{topic: offers, consent: OptOut, caps: [{{max: 3, per: P7D, counting: Rolling}}]}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EventType
metadata: {{name: cart-updated, namespace: shop}}
spec:
  type: com.example.cart.updated
  schema:
    type: object
    required: [cart_id, total]
    properties: {{cart_id: {{type: string}}, total: {{type: number}}, email: {{type: string}}}}
  onInvalid: Reject
  contact: {{email: event.data.email, name: event.data.customer.name}}
"""
MAIL_FLOW = """
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: cart, namespace: shop}}
spec:
  trigger:
    types: [com.example.cart.updated]
    filters: [{{cel: "event.data.total > 0"}}]
  steps: [{{name: remind, send: {{templateRef: {{name: reminder}}}}}}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: reminder, namespace: shop}}
spec:
  subject: "{{{{ contact.name }}}}, your cart is waiting"
  html: |
    <html><body><h1>Hello {{{{ contact.name }}}}</h1>
    <p>Your cart {{{{ event.data.cart_id }}}} holds goods worth {{{{ event.data.total }}}} euros.</p>
    {{% for line in ["Shipping is free", "Returns are free", "We keep it for a week"] %}}
    <p>{{{{ line }}}}</p>{{% endfor %}}
    <p><a href="{{{{ links.view }}}}">Read in a browser</a>
    <a href="{{{{ links.unsubscribe }}}}">Unsubscribe</a></p></body></html>
"""
WAIT_FLOW = """
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: waits, namespace: shop}}
spec:
  trigger: {{types: [com.example.cart.updated]}}
  steps: [{{name: wait, wait: {{for: PT24H}}}}, {{name: fin, end: {{result: Completed}}}}]
"""


class Process:
    """A child process that is asked line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def line(self, within: float = START_WITHIN) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            return (await self._process.stdout.readline()).decode().strip()

    async def ask(self, question: str) -> str:
        """Its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n".encode())
        return await self.line()

    async def stop(self) -> None:
        """End it and wait."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(20):
                    await self._process.wait()
            except TimeoutError:
                self.kill()
                await self._process.wait()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def ended(self) -> None:
        """Return when it has ended."""
        await self._process.wait()

    def memory(self) -> int:
        """Bytes of resident memory."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


async def start(script: str, *arguments: str) -> Process:
    """Start one of the harness's scripts."""
    return Process(
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", f"harness.{script}"),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=HERE.parent,
        )
    )


class Rig:
    """What is running."""

    def __init__(self, server: NatsServer, sink: Process, connection: Connection, folder: Path) -> None:
        self.server = server
        self.sink = sink
        self.connection = connection
        self.plans: Plans
        self.names: Names
        self.runtime: Process
        self.http = 0
        self.ready = 0.0
        self._folder = folder
        self._runs = 0

    def where(self) -> str:
        """What a process of the runtime is told, as JSON; it reads the rest from NATS, as a pod does."""
        names = {"namespace": self.names.namespace, "name": self.names.name}
        return json.dumps({"nats": self.server.url, **names})

    async def start_runtime(self) -> None:
        """Start the runtime and wait until it decides."""
        self.runtime = await start("serving", self.where())
        said = json.loads(await self.runtime.line())
        self.http, self.ready = said["http"], said["ready"]

    async def stop_runtime(self) -> None:
        """End the runtime that runs now."""
        await self.runtime.stop()

    async def publish(self, *, count: int, rate: float, first: int = 0) -> dict[str, Any]:
        """Publish events from a process of its own; what it reports when done."""
        self._runs += 1
        options = {
            "nats": self.server.url,
            "namespace": self.names.namespace,
            "name": self.names.name,
            "type": TYPE,
            "count": count,
            "rate": rate,
            "first": first,
            "run": f"r{self._runs}",
        }
        generator = await start("events", json.dumps(options))
        said: dict[str, Any] = json.loads(await generator.line(600))
        await generator.ended()
        return said

    async def taken(self, wanted: int, within: float) -> dict[int, int]:
        """When each mail got its 250 (monotonic nanoseconds), by its number, once there are so many."""
        deadline = asyncio.get_running_loop().time() + within
        while (there := int(await self.sink.ask("count"))) < wanted:
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"{there} of {wanted} mails after {within:.0f} s")
            await asyncio.sleep(0.1)
        file = self._folder / "taken"
        await self.sink.ask(f"dump {file}")
        pairs = array.array("q", file.read_bytes())
        numbers = list(pairs[::2])
        if len(set(numbers)) != len(numbers):
            raise RuntimeError(f"{len(numbers) - len(set(numbers))} mails came twice")
        await self.sink.ask("reset")
        return dict(zip(numbers, pairs[1::2], strict=True))

    def nats_memory(self) -> int:
        """Resident bytes of nats-server."""
        process = self.server._process
        assert process is not None
        return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096

    def nats_cpu(self) -> float:
        """Seconds of processor time of nats-server so far."""
        process = self.server._process
        assert process is not None
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@asynccontextmanager
async def rig(flows: str, *, serve: bool = True) -> AsyncIterator[Rig]:
    """Everything up inside; without `serve` the runtime is for the benchmark to start."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="emailflow-bench-")))
        server = NatsServer(folder / "nats", 0)
        await server.start()
        stack.push_async_callback(server.stop)
        sink = await start("sink")
        stack.push_async_callback(sink.stop)
        port = await sink.line()
        connection = await connect(Credentials(server.url), "bench rig")
        stack.push_async_callback(connection.close)
        running = Rig(server, sink, connection, folder)
        manifests = (SHOP + flows).format(nats=server.url, sink=port)
        compilation = compile_resources(read_documents(manifests, "bench.yaml"))
        if bad := [each for each in compilation.findings if each.severity.name == "ERROR"]:
            raise RuntimeError(str(bad))
        running.plans = compilation.plans
        running.names = Names(running.plans.runtime.namespace, running.plans.runtime.name)
        await provision_streams(connection, running.plans.runtime, events_bytes=8 << 30)
        await provision_flows(connection, running.plans)
        await PlanBucket(connection, running.names.bucket("PLANS")).write(running.plans)
        if serve:
            await running.start_runtime()
            stack.push_async_callback(running.stop_runtime)
        yield running
