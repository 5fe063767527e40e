"""`emailflow operator`: one process. Every replica answers probes; the one that holds the Lease works.

When the Lease or the watching ends, the process ends: nothing of a former leader goes on in memory.
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable, Coroutine
from typing import Any

from emailflow_operator.adapters.admin_server import AdminServer
from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.lease import Lease
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.admission.server import AdmissionServer
from emailflow_operator.admission.sources import certificates_from
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.issuer import read_issuer
from emailflow_operator.control.leftovers import find_leftovers
from emailflow_operator.control.survey import Survey
from emailflow_operator.control.worker import Need
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import Options, World
from emailflow_operator.errors import OperatorError, WatchEnded
from emailflow_operator.handlers.framework import kopf
from emailflow_operator.handlers.watching import settings, watch
from emailflow_operator.injection.wishes import SidecarSettings
from emailflow_operator.reconcile.cluster import Cluster

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
        self._has_seen = False
        self._leads = False
        self._survey: Survey | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Lead when it can. Raises LeaseLost, WatchEnded, OSError when the admin port is taken."""
        async with KubernetesApi(self._access) as api, contextlib.AsyncExitStack() as stack:
            servers = Servers()
            stack.push_async_callback(servers.close)
            world = World(self._options, api, servers, Accounts(api, self._options.namespace))
            admin = AdminServer(self._problem, lambda: self._admits, world.measures.text)
            port = await admin.start(self._options.admin_port)
            stack.push_async_callback(admin.close)
            self._tell_port(port)
            self._take_signals()
            lease = Lease(api, self._options.namespace, self._options.identity)
            await _until_first(stop.wait(), self._serve_admission(world), self._take_turns(world, lease))

    def _tell_port(self, port: int) -> None:
        if (file := self._options.ports_file) is not None:
            # Written aside and moved, so that nobody reads half of it.
            aside = file.with_name(f".{file.name}.{os.getpid()}")
            aside.write_text(json.dumps({"admin": port}) + "\n")
            aside.replace(file)

    def _problem(self) -> str:
        if self._survey is not None and self._survey.is_deaf:
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
                    lambda: world.cluster if self._has_seen else None,
                    sidecars,
                ):
                    self._admits = True
                    await asyncio.Event().wait()
            except OperatorError as error:
                self._admits = False
                log.warning("admission can't be served yet: %s [%s]", error, error.reason)
                await asyncio.sleep(FIRST_TRY_AGAIN)
        await asyncio.Event().wait()

    async def _read_along(self, world: World) -> None:
        """Know the cluster while another replica leads, so that admission can warn of what is missing."""
        survey = Survey(world, Workers(world))  # nobody starts them: they only note
        while self._options.webhook_service:
            try:
                if self._has_seen:
                    await survey.again()
                else:
                    await survey.first()
                    self._has_seen = True
            except OperatorError as error:
                log.info("the cluster can't be read: %s [%s]", error, error.reason)
            await asyncio.sleep(self._options.resync)
        await asyncio.Event().wait()

    # --- what one of them does ----------------------------------------------------------------------

    async def _take_turns(self, world: World, lease: Lease) -> None:
        """Wait for the Lease, then work while it is held. Raises LeaseLost, WatchEnded."""
        await _until_first(lease.acquire(), self._read_along(world))
        # What was read along may lack what came and went since.
        self._has_seen, world.cluster = False, Cluster()
        self._leads, world.measures.leader = True, 1
        workers = Workers(world)
        self._survey = Survey(world, workers)
        try:
            await _until_first(lease.hold(), self._work(world, workers, self._survey))
        finally:
            self._leads = False
            await workers.stop()
            await lease.release()

    async def _work(self, world: World, workers: Workers, survey: Survey) -> None:
        """See everything once, then watch, work and look again."""
        while not self._has_seen:
            try:
                if self._options.nats_url:
                    await world.accounts.ensure()
                await read_issuer(world)
                await survey.first()
                self._has_seen = True
            except OperatorError as error:
                log.warning("the cluster can't be read yet: %s [%s]", error, error.reason)
                await asyncio.sleep(FIRST_TRY_AGAIN)
        workers.start()
        await _until_first(self._watch(workers, survey), self._look_again(world, workers, survey))

    async def _watch(self, workers: Workers, survey: Survey) -> None:
        """Let Kopf watch. Raises WatchEnded."""
        registry = kopf.OperatorRegistry()
        clusterwide = not self._options.watched
        watch(registry, workers, self._access, namespaces=survey.reads_namespaces)
        started = asyncio.Event()
        await _until_first(
            kopf.operator(
                registry=registry,
                settings=settings(scanning=clusterwide),
                clusterwide=clusterwide,
                namespaces=list(self._options.watched),
                ready_flag=started,
            ),
            self._take_signals_back(started),
        )
        raise WatchEnded("Kopf has ended")

    async def _take_signals_back(self, started: asyncio.Event) -> None:
        await started.wait()
        self._take_signals()
        await asyncio.Event().wait()

    async def _look_again(self, world: World, workers: Workers, survey: Survey) -> None:
        await self._find_leftovers(world, workers)
        while True:
            await asyncio.sleep(self._options.resync)
            try:
                await survey.again()
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


async def _until_first(*wanted: Coroutine[Any, Any, Any]) -> None:
    """Return when the first has ended, the others cancelled; raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in wanted]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
