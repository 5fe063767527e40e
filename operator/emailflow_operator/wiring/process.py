"""`emailflow operator`: one process. Every replica follows the cluster, and answers probes and admission; the
one that holds the Lease works.

When the Lease or the watching ends, the process ends: nothing of a former leader goes on in memory.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable

from emailflow_operator.adapters.admin_server import AdminServer
from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.lease_keeper import LeaseKeeper
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.admission.server import AdmissionServer
from emailflow_operator.admission.sources import certificates_from
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.issuer import read_issuer
from emailflow_operator.control.leftovers import find_leftovers
from emailflow_operator.control.worker import Need
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import Options, World
from emailflow_operator.errors import OperatorError
from emailflow_operator.injection.wishes import SidecarSettings
from emailflow_operator.wiring.following import Following
from emailflow_operator.wiring.nats_certificates import NatsCertificates
from emailflow_operator.wiring.tasks import until_first

FIRST_TRY_AGAIN = 2.0

log = logging.getLogger(__name__)


class OperatorProcess:
    """`run` it until `stop` is set."""

    def __init__(self, options: Options, access: Access, take_signals: Callable[[], None]) -> None:
        """`take_signals` lets SIGINT and SIGTERM set `stop`; it is called again after Kopf took them."""
        self._take_signals = take_signals
        self._options = options
        self._access = access
        self._admits = not options.webhook_service
        self._leads = False
        self._following: Following | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Lead when it can. Raises LeaseLost, WatchEnded, OSError when the admin port is taken."""
        async with KubernetesApi(self._access) as api, contextlib.AsyncExitStack() as stack:
            servers = Servers()
            stack.push_async_callback(servers.close)
            options = self._options
            accounts = Accounts(
                api, options.namespace, servers, url=options.nats_url, share=options.runtime_bytes
            )
            world = World(options, api, servers, accounts)
            stack.push_async_callback(world.compiler.close)
            admin = AdminServer(self._problem, lambda: self._admits, world.measures.text)
            port = await admin.start(self._options.admin_port)
            stack.push_async_callback(admin.close)
            self._tell_port(port)
            self._take_signals()
            workers = Workers(world)
            self._following = following = Following(world, workers, self._access, self._take_signals)
            await until_first(
                stop.wait(),
                self._serve_admission(world),
                following.run(),
                self._take_turns(world, workers, following),
            )

    def _tell_port(self, port: int) -> None:
        if (file := self._options.ports_file) is not None:
            # Written aside and moved, so that nobody reads half of it.
            aside = file.with_name(f".{file.name}.{os.getpid()}")
            aside.write_text(json.dumps({"admin": port}) + "\n")
            aside.replace(file)

    @property
    def _sees(self) -> bool:
        return self._following is not None and self._following.seen.is_set()

    def _problem(self) -> str:
        if self._following is not None and self._following.is_deaf:
            return "the watches miss changes"
        return ""

    # --- what every replica does --------------------------------------------------------------------

    async def _serve_admission(self, world: World) -> None:
        """Answer admission requests, whoever leads, until cancelled."""
        options = self._options
        while options.webhook_service:
            certificates = certificates_from(
                options.certificates,
                world.api,
                namespace=options.namespace,
                service=options.webhook_service,
                leads=lambda: self._leads,
            )
            sidecars = SidecarSettings(options.image.name, options.image.pull_policy)
            try:
                async with AdmissionServer(
                    options.webhook_port,
                    certificates,
                    lambda: world.cluster if self._sees else None,
                    sidecars,
                    client_ca=options.client_ca,
                ):
                    self._admits = True
                    await asyncio.Event().wait()
            except OperatorError as error:
                self._admits = False
                log.warning("admission can't be served yet: %s [%s]", error, error.reason)
                await asyncio.sleep(FIRST_TRY_AGAIN)
        await asyncio.Event().wait()

    # --- what one of them does ----------------------------------------------------------------------

    async def _take_turns(self, world: World, workers: Workers, following: Following) -> None:
        """Wait for the Lease, then work while it is held. Raises LeaseLost."""
        lease = LeaseKeeper(self._access, self._options.namespace, self._options.identity)
        try:
            await lease.acquire()
            self._leads, world.measures.leader = True, 1
            await until_first(lease.hold(), self._work(world, workers, following))
        finally:
            self._leads = False
            await workers.stop()
            await lease.release()

    async def _work(self, world: World, workers: Workers, following: Following) -> None:
        """Begin with a picture that is complete, then work and look again."""
        certificates = NatsCertificates(world)
        await following.caught_up()
        while True:
            try:
                if self._options.nats_url:
                    await world.accounts.ensure()
                await certificates.ensure()
                await read_issuer(world)
                break
            except OperatorError as error:
                log.warning("the operator can't begin yet: %s [%s]", error, error.reason)
                await asyncio.sleep(FIRST_TRY_AGAIN)
        workers.start()
        await until_first(self._look_again(world, workers), certificates.follow(workers))

    async def _look_again(self, world: World, workers: Workers) -> None:
        """Trust nothing that was seen, now and then."""
        await self._find_leftovers(world, workers)
        while True:
            await asyncio.sleep(self._options.resync)
            try:
                await read_issuer(world)
            except OperatorError as error:
                log.warning("the cluster can't be read: %s [%s]", error, error.reason)
            workers.mark_all(Need.RESYNC)
            await self._find_leftovers(world, workers)

    async def _find_leftovers(self, world: World, workers: Workers) -> None:
        try:
            await find_leftovers(world, workers)
        except OperatorError as error:
            log.info("left streams can't be looked for: %s [%s]", error, error.reason)
