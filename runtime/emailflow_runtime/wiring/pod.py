"""`emailflow runtime`: the data plane in a pod, the same Runtime that `emailflow dev` runs.

It waits, unready, for what others make (NATS, the streams, PLANS), and makes none of it itself. It ends
when asked: unready at once, the shards handed over, then the doors.
"""

import asyncio
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from starlette.applications import Starlette

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.plans import Plans
from emailflow_api.pod_settings import PodSettings
from emailflow_runtime.adapters.http_door import HttpDoor, Limits
from emailflow_runtime.adapters.http_server import HttpServer
from emailflow_runtime.adapters.jetstream.connection import Connection, Credentials, JetStreamError, connect
from emailflow_runtime.adapters.jetstream.consent_bucket import ConsentBucket
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.secrets_folder import InvalidKeyring, KeyringFile, SecretsFolder
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.errors import EmailFlowError, Unavailable
from emailflow_runtime.web.health import health_routes
from emailflow_runtime.web.link_pages import link_routes
from emailflow_runtime.web.metrics import metrics_routes
from emailflow_runtime.wiring.callers import callers
from emailflow_runtime.wiring.runtime import Runtime, Surroundings
from emailflow_runtime.wiring.switch import Switch

RETRY_AFTER = 0.5
HAND_OVER_WITHIN = 2.0
"""Seconds that what has been begun may take once the pod is asked to end."""

log = logging.getLogger(__name__)


class ConnectionLost(EmailFlowError):
    """NATS has thrown this user out for good: the pod has to start again, with credentials of today."""

    reason = "ConnectionLost"


class PodOptions(msgspec.Struct, frozen=True):
    """Where it listens. `ports_file` gets `{"admin":…,"events":…,"links":…}` once it does."""

    host: str
    ports_file: Path | None = None


class Pod:
    """One runtime pod."""

    def __init__(self, settings: PodSettings, options: PodOptions) -> None:
        self._settings = settings
        self._options = options
        self._names = Names(settings.namespace, settings.name)
        self._receiver = Switch()
        self._pages = Switch()
        self._connection: Connection | None = None
        self._runtime: Runtime | None = None
        self._waits_for = "NATS"
        self._ending = False

    async def run(self, asked: asyncio.Event) -> None:
        """Serve until asked to end. Raises EmailFlowError, or an ExceptionGroup when a part is lost."""
        async with AsyncExitStack() as stack:
            probes = health_routes(self._not_ready, self._stuck_in)
            admin = HttpServer(Starlette(routes=[*probes, *metrics_routes(self._metrics)]))
            events = HttpServer(self._receiver)
            links = HttpServer(self._pages)
            ports = {
                "admin": await self._listen(stack, admin, self._settings.admin_port),
                "events": await self._listen(stack, events, self._settings.events_port),
                "links": await self._listen(stack, links, self._settings.links_port),
            }
            self._write_ports(ports)
            serving = asyncio.create_task(self._serve())
            asking = asyncio.create_task(asked.wait())
            try:
                await asyncio.wait({serving, asking}, return_when=asyncio.FIRST_COMPLETED)
                # Requests are answered until the shards are in other hands.
                self._ending = True
                if self._runtime is not None and not serving.done():
                    await self._runtime.stop(HAND_OVER_WITHIN)
                await asyncio.gather(events.close(), links.close())
            finally:
                asking.cancel()
                serving.cancel()
                await asyncio.wait({serving})
            if not serving.cancelled():
                serving.result()

    async def _listen(self, stack: AsyncExitStack, server: HttpServer, port: int) -> int:
        chosen = await server.start(self._options.host, port)
        stack.push_async_callback(server.close)
        return chosen

    def _write_ports(self, ports: dict[str, int]) -> None:
        if (file := self._options.ports_file) is not None:
            # Written aside and moved, so that nobody reads half of it.
            aside = file.with_name(f".{file.name}.{os.getpid()}")
            aside.write_text(json.dumps(ports) + "\n")
            aside.replace(file)

    # --- probes -------------------------------------------------------------------------------------

    def _not_ready(self) -> str:
        if self._ending or self._waits_for:
            return "its end" if self._ending else self._waits_for
        return self._runtime.waits_for if self._runtime is not None else "NATS"

    def _stuck_in(self) -> str:
        return self._runtime.stuck_in if self._runtime is not None else ""

    async def _metrics(self) -> bytes:
        return await self._runtime.watched.page() if self._runtime is not None else b""

    # --- serving ------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        keyring = await self._keyring()
        async with self._connected() as connection, asyncio.TaskGroup() as group:
            plans = await self._plans(connection)
            consents = ConsentBucket(connection, self._names.bucket("CONSENT"))
            # Whoever unsubscribed must be known before anything is sent.
            await consents.start()
            held = SecretsFolder(Path(self._settings.secrets), self._settings.namespace)
            runtime = Runtime(connection, plans, Surroundings(held, keyring, consents))
            self._runtime = runtime
            group.create_task(consents.follow())
            group.create_task(runtime.run())
            group.create_task(_until_closed(connection))
            limits = Limits(max_body_bytes=plans.runtime.max_body_bytes)
            tokens = callers(self._settings, lambda: runtime.catalog.plans.runtime.namespaces)
            if tokens is None:
                log.error("nothing to verify callers by: every event over HTTP is answered with 401")
            self._receiver.app = HttpDoor(
                runtime.ingest, limits=limits, tokens=tokens, note_refusal=runtime.watched.refused
            )
            self._pages.app = Starlette(routes=link_routes(runtime.links))
            self._waits_for = ""

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        settings = self._settings
        credentials = Credentials(
            settings.nats_url,
            file=settings.nats_credentials,
            ca=settings.nats_ca,
            inbox=self._names.inbox(Role.RUNTIME),
        )
        while self._connection is None:
            try:
                self._connection = await connect(credentials, f"emailflow runtime {self._names.prefix}")
            except Unavailable as away:
                log.warning("waiting for NATS: %s", away)
                await asyncio.sleep(RETRY_AFTER)
        try:
            yield self._connection
        finally:
            await self._connection.close()

    async def _plans(self, connection: Connection) -> Plans:
        """The plans, once the operator has written them and made the streams."""
        self._waits_for = "PLANS"
        plans = await PlanBucket(connection, self._names.bucket("PLANS")).first()
        self._waits_for = "streams"
        shards = range(plans.runtime.shards)
        for stream in (self._names.events, *(self._names.state(shard) for shard in shards)):
            while True:
                try:
                    await connection.api(f"STREAM.INFO.{stream}")
                    break
                except (Unavailable, JetStreamError) as not_yet:
                    log.info("waiting for the stream %s: %s", stream, not_yet)
                    await asyncio.sleep(RETRY_AFTER)
        return plans

    async def _keyring(self) -> Keyring:
        """The keys that sign links; without any, ones that live as long as this process."""
        if not self._settings.keyring:
            log.error("no keysSecretRef: links in mails are good until this pod ends, on this pod only")
            return Keyring({"pod": secrets.token_bytes(32)})
        self._waits_for, before = "the keyring", self._waits_for
        while True:
            try:
                found = KeyringFile(Path(self._settings.keyring))
                break
            except InvalidKeyring as not_yet:
                log.warning("waiting for the keyring: %s", not_yet)
                await asyncio.sleep(RETRY_AFTER)
        self._waits_for = before
        return found


async def _until_closed(connection: Connection) -> None:
    await connection.closed()
    raise ConnectionLost("NATS has closed the connection and will not have it back")
