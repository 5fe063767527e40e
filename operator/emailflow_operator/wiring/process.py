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

import kopf

from emailflow_operator.adapters.admin_server import AdminServer
from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.lease import Lease
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.issuer import read_issuer
from emailflow_operator.control.survey import Survey
from emailflow_operator.control.worker import Need
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import Options, World
from emailflow_operator.errors import OperatorError, WatchEnded
from emailflow_operator.handlers.watching import settings, watch

FIRST_TRY_AGAIN = 2.0

log = logging.getLogger(__name__)


class OperatorProcess:
    """`run` it until `stop` is set."""

    def __init__(self, options: Options, access: Access, take_signals: Callable[[], None]) -> None:
        """`take_signals` lets SIGINT and SIGTERM set `stop`; it is called again after Kopf took them."""
        self._take_signals = take_signals
        self._options = options
        self._access = access
        self._ready = False
        self._survey: Survey | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Lead when it can. Raises LeaseLost, OSError when the port is taken."""
        async with KubernetesApi(self._access) as api, contextlib.AsyncExitStack() as stack:
            servers = Servers()
            stack.push_async_callback(servers.close)
            world = World(self._options, api, servers, Accounts(api, self._options.namespace))
            admin = AdminServer(self._problem, lambda: self._ready, world.measures.text)
            port = await admin.start(self._options.admin_port)
            stack.push_async_callback(admin.close)
            self._tell_port(port)
            lease = Lease(api, self._options.namespace, self._options.identity)
            self._ready = True
            self._take_signals()
            if await _first(lease.acquire(), stop.wait()):
                stack.push_async_callback(lease.release)
                world.measures.leader = 1
                await self._lead(world, lease, stop)

    def _tell_port(self, port: int) -> None:
        if (file := self._options.ports_file) is not None:
            # Written aside and moved, so that nobody reads half of it.
            aside = file.with_name(f".{file.name}.{os.getpid()}")
            aside.write_text(json.dumps({"admin": port}) + "\n")
            aside.replace(file)

    async def _lead(self, world: World, lease: Lease, stop: asyncio.Event) -> None:
        workers = Workers(world)
        self._survey = Survey(world, workers)
        holding = asyncio.create_task(lease.hold(), name="lease")
        working = asyncio.create_task(self._work(world, workers, self._survey), name="work")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        tasks = (holding, working, stopping)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                _raise_plainly(task)
        finally:
            for task in (working, stopping, holding):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await workers.stop()

    async def _work(self, world: World, workers: Workers, survey: Survey) -> None:
        """See everything once, then watch, work and look again."""
        while True:
            try:
                if self._options.nats_url:
                    await world.accounts.ensure()
                await read_issuer(world)
                await survey.first()
                break
            except OperatorError as error:
                log.warning("the cluster can't be read yet: %s [%s]", error, error.reason)
                await asyncio.sleep(FIRST_TRY_AGAIN)
        workers.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(workers), name="watch")
            group.create_task(self._look_again(world, workers, survey), name="survey")

    async def _watch(self, workers: Workers) -> None:
        registry = kopf.OperatorRegistry()
        clusterwide = not self._options.watched
        watch(registry, workers, self._access, namespaces=clusterwide)
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            signals = group.create_task(self._take_signals_back(started))
            await kopf.operator(
                registry=registry,
                settings=settings(scanning=clusterwide),
                clusterwide=clusterwide,
                namespaces=list(self._options.watched),
                ready_flag=started,
            )
            signals.cancel()
        raise WatchEnded("Kopf has ended")

    async def _take_signals_back(self, started: asyncio.Event) -> None:
        await started.wait()
        self._take_signals()

    async def _look_again(self, world: World, workers: Workers, survey: Survey) -> None:
        while True:
            await asyncio.sleep(self._options.resync)
            try:
                await survey.again()
                await read_issuer(world)
            except OperatorError as error:
                log.warning("the cluster can't be read: %s [%s]", error, error.reason)
            workers.mark_all(Need.RESYNC)

    def _problem(self) -> str:
        if self._survey is not None and self._survey.is_deaf:
            return "the watches miss changes"
        return ""


async def _first(wanted: Coroutine[Any, Any, None], other: Coroutine[Any, Any, Any]) -> bool:
    """Whether `wanted` ended first; the rest is cancelled."""
    first, second = asyncio.ensure_future(wanted), asyncio.ensure_future(other)
    try:
        await asyncio.wait((first, second), return_when=asyncio.FIRST_COMPLETED)
        return first.done() and not second.done()
    finally:
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)


def _raise_plainly(task: asyncio.Task[Any]) -> None:
    """The task's own error, out of the groups that tasks wrap it in."""
    error = task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error
