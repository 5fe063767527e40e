"""Several runtimes as processes of their own, one nats-server, a door, and an SMTP sink that nobody but the
test knows: the ledger of what was accepted stands against what arrived there.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from emailflow_api.compile import compile_resources
from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import Plans
from emailflow_api.reading import read_documents
from emailflow_runtime.adapters.jetstream.alias_bucket import AliasBucket
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.lease_bucket import LeaseBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows, provision_streams
from emailflow_runtime.adapters.nats_server import NatsServer
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.ingest import LogIngest
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import EmailFlowError

WITHIN = 60
MOST_ON_THEIR_WAY = 300
KIND = "com.example.signed_up"
NAMES = Names("mail", "default")
MANIFESTS = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {{name: default, namespace: mail}}
spec: {{shards: {shards}, publicUrl: "https://mail.example.com", defaults: {{providerRef: {{name: sink}}}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: sink, namespace: mail, annotations: {{emailflow.dev/deliver: "true"}}}}
spec:
  type: Smtp
  smtp: {{host: 127.0.0.1, port: {port}, tls: None}}
  from: {{address: shop@example.com}}
  rate: {rate}
  retry: {{backoff: PT2S}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: hello, namespace: mail}}
spec:
  trigger: {{types: [com.example.signed_up], reentry: {reentry}}}
  steps: [{steps}]
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: hello, namespace: mail}}
spec: {{subject: "Hello {{{{ event.data.n }}}}", markdown: "Hi"}}
"""
SEND = "{name: hello, send: {templateRef: {name: hello}}}"


def compiled(
    port: int, *, shards: int, rate: str = "{}", steps: str = SEND, reentry: str = "AfterExit"
) -> Plans:
    """The plans of one runtime whose mails go to the sink at this port."""
    text = MANIFESTS.format(port=port, shards=shards, rate=rate, steps=steps, reentry=reentry)
    compilation = compile_resources(read_documents(text, "manifests.yaml"), laptop=True)
    assert [each for each in compilation.findings if each.severity.name == "ERROR"] == []
    return compilation.plans


class Sink:
    """An SMTP server that takes every mail. `arrived` counts by recipient, `at` says when (loop's clock)."""

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()
        self.at: list[float] = []
        self.changed = asyncio.Event()
        self.connections = 0
        self.down = False
        """While true every connection is answered with 421."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._converse(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(line: str) -> None:
            writer.write(line.encode() + b"\r\n")

        if self.down:
            say("421 sink.example closing")
            return
        recipient = ""
        say("220 sink.example")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb = line.upper()
            if verb.startswith("EHLO"):
                say("250-sink.example\r\n250 PIPELINING")
            elif verb.startswith("RCPT"):
                recipient = line.partition("<")[2].partition(">")[0]
                say("250 ok")
            elif verb == "DATA":
                say("354 go")
                await reader.readuntil(b"\r\n.\r\n")
                self.take(recipient)
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    async def something(self) -> None:
        """Return when a mail has arrived, or after a second."""
        self.changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self.changed.wait()

    def take(self, recipient: str) -> None:
        self.arrived[recipient.partition("@")[0]] += 1
        self.at.append(asyncio.get_running_loop().time())
        self.changed.set()


class Replica:
    """One runtime process."""

    def __init__(self, url: str, name: str, folder: Path, *options: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = (url, name, *options)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        script = Path(__file__).with_name("replica.py")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, str(script), *self._arguments, stdout=log, stderr=log
            )

    def signal(self, number: int) -> None:
        """Of this process, and of no other."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    async def wait(self) -> int:
        """Its return code, once it has ended."""
        assert self._process is not None
        return await self._process.wait()

    async def ended(self) -> int:
        """The same, for one that was asked to."""
        async with asyncio.timeout(WITHIN):
            return await self.wait()

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            await self._process.wait()


class House:
    """Everything around the replicas."""

    def __init__(self, server: NatsServer, connection: Connection, sink: Sink, folder: Path) -> None:
        self.server = server
        self.connection = connection
        self.sink = sink
        self.accepted: set[str] = set()
        self.replicas: dict[str, Replica] = {}
        self.plans: Plans | None = None
        self._folder = folder
        self._ingest: LogIngest | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def declare(self, plans: Plans) -> None:
        """Make it so, and open the door."""
        self.plans = plans
        await provision_streams(self.connection, plans.runtime, events_bytes=512 << 20)
        await provision_flows(self.connection, plans)
        await PlanBucket(self.connection, NAMES.bucket("PLANS")).write(plans)
        self.leases = LeaseBucket(self.connection, plans.runtime, "observer")
        await self.leases.listen()
        aliases = AliasBucket(self.connection, NAMES.bucket("ALIASES"))
        log, letters = JetStreamEventLog(self.connection, NAMES), DeadLetterStream(self.connection, NAMES)
        self._ingest = LogIngest(Catalog(plans), log, aliases, letters)
        self._tasks.append(asyncio.create_task(self._ingest.run()))

    async def start(self, *names: str, options: Sequence[str] = ()) -> None:
        for name in names:
            replica = self.replicas[name] = Replica(self.server.url, name, self._folder, *options)
            await replica.start()

    async def sign_up(self, n: str, **data: object) -> None:
        """One event at the door; it counts once the door says that it is on disk."""
        assert self._ingest is not None
        payload = json.dumps({"email": f"{n}@example.com", "n": n, **data}).encode()
        event = CloudEvent(id=n, source="/test", type=KIND, datacontenttype="application/json", data=payload)
        try:
            await self._ingest.accept(event)
        except EmailFlowError:
            return
        self.accepted.add(n)

    async def owners(self) -> dict[int, str]:
        """Who holds each shard."""
        with suppress(EmailFlowError):
            view = await self.leases.read()
            return {shard: lease.holder for shard, lease in view.leases.items() if lease.holder}
        return {}

    async def until_there(self, name: str) -> None:
        """Return when this replica says that it is there: from then on it ends on SIGTERM as a pod does."""
        async with asyncio.timeout(WITHIN):
            while True:
                with suppress(EmailFlowError):
                    if name in (await self.leases.read()).members:
                        return
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self.leases.changed.wait()
                self.leases.changed.clear()

    async def until_owned(self, *names: str) -> dict[int, str]:
        """Return when every shard is held by one of these, and each of them holds its share."""
        assert self.plans is not None
        shards = self.plans.runtime.shards
        async with asyncio.timeout(WITHIN):
            while True:
                owners = await self.owners()
                counts = Counter(dict.fromkeys(names, 0))
                counts.update(owners.values())
                even = max(counts.values()) - min(counts.values()) <= 1
                if len(owners) == shards and set(counts) == set(names) and even:
                    return owners
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await self.leases.changed.wait()
                self.leases.changed.clear()

    async def facts(self, kind: str) -> list[dict[str, object]]:
        """The facts of this type in EVENTS, each once, in order."""
        found: dict[str, dict[str, object]] = {}
        after = 0
        subject = NAMES.event_subject(0, f"dev.emailflow.{kind}").replace(".events.0.", ".events.*.")
        while True:
            body = {"seq": after + 1, "batch": 256, "next_by_subj": subject}
            count = 0
            async for each in self.connection.direct_get_many(NAMES.events, body):
                headers = each.headers or {}
                after, count = int(headers["Nats-Sequence"]), count + 1
                found.setdefault(headers["ce-source"] + headers["ce-id"], json.loads(each.data))
            if count < 256:
                return list(found.values())

    async def unknown(self) -> int:
        """How many mails the log says are unknown."""
        return len(await self.facts("message.unknown"))

    async def until_delivered(self, *, within: float = WITHIN, unknown: bool = False) -> None:
        """Return when everything accepted arrived at the sink, but for what is recorded as unknown."""
        async with asyncio.timeout(within):
            while missing := self.accepted - self.sink.arrived.keys():
                if unknown and len(missing) <= await self.unknown():
                    return
                await self.sink.something()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(each.close() for each in self.replicas.values()))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        server = NatsServer(tmp_path / "nats", 0)
        await server.start()
        stack.push_async_callback(server.stop)
        connection = await connect(Credentials(server.url), "test")
        stack.push_async_callback(connection.close)
        sink = Sink()
        await sink.start()
        stack.push_async_callback(sink.stop)
        made = House(server, connection, sink, tmp_path)
        stack.push_async_callback(made.close)
        yield made


class Load:
    """Sign-ups one after the other from four producers, while it is entered."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stop = asyncio.Event()
        self._accepted = asyncio.Event()
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._post()) for _ in range(4)]
        return self

    async def _post(self) -> None:
        while not self._stop.is_set():
            if len(self._house.accepted) - len(self._house.sink.arrived) > MOST_ON_THEIR_WAY:
                await self._house.sink.something()
                continue
            self._number += 1
            await self._house.sign_up(f"u{self._number}")
            self._accepted.set()

    async def more(self, count: int) -> None:
        """Return when so many more have been accepted."""
        wanted = len(self._house.accepted) + count
        async with asyncio.timeout(WITHIN):
            while len(self._house.accepted) < wanted:
                self._accepted.clear()
                await self._accepted.wait()

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)


def sent_once(house: House) -> None:
    """The sink has nothing twice."""
    assert {name: count for name, count in house.sink.arrived.items() if count > 1} == {}
