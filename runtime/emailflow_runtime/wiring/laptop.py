"""`emailflow dev`: the whole data plane in one process group, with a nats-server and a mail catcher.

It composes the runtime that a pod runs; only what stands around it differs (DESIGN section 6). State lives
in a folder and survives a restart.
"""

import asyncio
import json
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.routing import Mount

from emailflow_api.errors import Finding
from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.http_door import Anonymous, FileTokens, HttpDoor, Limits
from emailflow_runtime.adapters.http_server import HttpServer
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, connect
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.mail_catcher import MailCatcher
from emailflow_runtime.adapters.nats_server import NatsServer
from emailflow_runtime.adapters.secrets_in_memory import SecretsInMemory
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.core.links import Keyring, parse_keyring
from emailflow_runtime.web.health import health_routes
from emailflow_runtime.web.inbox_app import inbox_app
from emailflow_runtime.web.link_pages import link_routes
from emailflow_runtime.web.metrics import metrics_routes
from emailflow_runtime.wiring.applied import Applied
from emailflow_runtime.wiring.nats_watch import watch_nats_server
from emailflow_runtime.wiring.runtime import Runtime, Surroundings
from emailflow_runtime.wiring.switch import Switch

LARGEST_LOG = 8 << 30
STOP_WITHIN = 2.0


class LaptopOptions(msgspec.Struct, frozen=True):
    """What the command line says. Ports: 0 picks a free one."""

    path: Path
    state: Path
    http_port: int = 8080
    smtp_port: int = 1025
    nats_port: int = 4222
    ports_file: Path | None = None
    tokens_file: Path | None = None


class Ports(msgspec.Struct, frozen=True):
    """Where it listens, all on loopback."""

    http: int
    smtp: int
    nats: int


class Laptop:
    """One `emailflow dev`. `report` gets the findings of every reading of the folder."""

    def __init__(self, options: LaptopOptions, report: Callable[[list[Finding]], None]) -> None:
        self._options = options
        self._report = report
        self._secrets = SecretsInMemory()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Ports]:
        """Everything up and ready inside. Raises EmailFlowError, or ExceptionGroup when a part is lost."""
        options = self._options
        options.state.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            nats_server = NatsServer(options.state / "nats", options.nats_port)
            await nats_server.start()
            stack.push_async_callback(nats_server.stop)
            connection = await connect(Credentials(nats_server.url), "emailflow dev")
            stack.push_async_callback(connection.close)
            catcher = MailCatcher(options.state / "mail", clock=SystemClock())
            smtp_port = await catcher.start(port=options.smtp_port)
            stack.push_async_callback(catcher.close)
            # The server is first, since links in mails name its port.
            switch = Switch()
            server = HttpServer(switch)
            http_port = await server.start("127.0.0.1", options.http_port)
            stack.push_async_callback(server.close)
            applied = Applied(options.path, self._report, self._secrets, f"http://127.0.0.1:{http_port}")
            async with asyncio.TaskGroup() as group:
                runtime = await self._start_runtime(group, connection, applied, smtp_port)
                tasks = [
                    group.create_task(applied.follow_folder(connection)),
                    group.create_task(applied.remove_drained(connection)),
                    group.create_task(applied.let_go(connection)),
                    group.create_task(watch_nats_server(nats_server, connection, options.state)),
                ]
                switch.app = self._app(runtime, catcher)
                await runtime.until_ready()
                ports = Ports(http=http_port, smtp=smtp_port, nats=nats_server.port)
                self._write_ports(ports)
                try:
                    yield ports
                finally:
                    await runtime.stop(STOP_WITHIN)
                    await catcher.close()
                    for task in (*tasks, *self._runtime_tasks):
                        task.cancel()

    async def _start_runtime(
        self, group: asyncio.TaskGroup, connection: Connection, applied: Applied, smtp_port: int
    ) -> Runtime:
        free = shutil.disk_usage(self._options.state).free
        plans = await applied.first(connection, events_bytes=min(LARGEST_LOG, free // 2))
        names = Names(plans.runtime.namespace, plans.runtime.name)
        consents = ConsentBucket(connection, names.bucket("CONSENT"))
        # Whoever unsubscribed must be known before anything is sent.
        await consents.start()
        surroundings = Surroundings(self._secrets, self._keyring(), consents, smtp_port)
        runtime = Runtime(connection, plans, surroundings)
        self._runtime_tasks = [
            group.create_task(consents.follow()),
            group.create_task(runtime.run()),
        ]
        return runtime

    def _app(self, runtime: Runtime, catcher: MailCatcher) -> Any:
        pages = Starlette(
            routes=[
                *health_routes(lambda: runtime.waits_for, lambda: runtime.stuck_in),
                *link_routes(runtime.links),
                *metrics_routes(runtime.watched.page),
                Mount("/", inbox_app(catcher)),
            ]
        )
        limits = Limits(max_body_bytes=runtime.catalog.plans.runtime.max_body_bytes)
        # On loopback only, so whoever reaches it is the person who started it.
        tokens = FileTokens(self._options.tokens_file) if self._options.tokens_file else Anonymous()
        return HttpDoor(
            runtime.ingest,
            limits=limits,
            tokens=tokens,
            fallback=pages,
            note_refusal=runtime.watched.refused,
        )

    def _keyring(self) -> Keyring:
        """Signs links; made once for a state folder."""
        file = self._options.state / "keyring"
        if not file.exists():
            file.touch(mode=0o600)
            file.write_text(f"dev: {secrets.token_hex(32)}\n")
        return parse_keyring(file.read_text())

    def _write_ports(self, ports: Ports) -> None:
        if self._options.ports_file is not None:
            # Written aside and moved, so that nobody reads half of it.
            aside = self._options.ports_file.with_name(f".{self._options.ports_file.name}.{os.getpid()}")
            aside.write_text(json.dumps(msgspec.to_builtins(ports)) + "\n")
            aside.replace(self._options.ports_file)
