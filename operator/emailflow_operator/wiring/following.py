"""The picture of the cluster on every replica: seen once, watched, and checked against lists.

A standby follows as well, so that its admission answers from what is there now, and so that it has nothing to
read when it takes over. Nothing here writes.
"""

import asyncio
import logging
from collections.abc import Callable

from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.control.survey import Survey
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import World
from emailflow_operator.errors import OperatorError, WatchEnded
from emailflow_operator.handlers.framework import kopf
from emailflow_operator.handlers.watching import settings, watch
from emailflow_operator.wiring.tasks import until_first

TRY_AGAIN = 2.0
"""Seconds."""

log = logging.getLogger(__name__)


class Following:
    """`run` it as long as the process lives; `seen` is set once everything has been seen."""

    def __init__(
        self, world: World, workers: Workers, access: Access, take_signals: Callable[[], None]
    ) -> None:
        """`take_signals` takes signals back from Kopf, which takes them when it starts."""
        self.seen = asyncio.Event()
        self._world = world
        self._workers = workers
        self._access = access
        self._take_signals = take_signals
        self._survey = Survey(world, workers)

    @property
    def is_deaf(self) -> bool:
        """Whether the watches keep missing changes."""
        return self._survey.is_deaf

    async def run(self) -> None:
        """Follow until cancelled. Raises WatchEnded."""
        while not self.seen.is_set():
            try:
                await self._survey.first()
                self.seen.set()
            except OperatorError as error:
                log.warning("the cluster can't be read yet: %s [%s]", error, error.reason)
                await asyncio.sleep(TRY_AGAIN)
        await until_first(self._watch(), self._look_again())

    async def caught_up(self) -> None:
        """Return when the picture is as the API server says at this moment; waits through outages."""
        await self.seen.wait()
        while True:
            try:
                return await self._survey.catch_up()
            except OperatorError as error:
                log.warning("the cluster can't be read yet: %s [%s]", error, error.reason)
                await asyncio.sleep(TRY_AGAIN)

    async def _watch(self) -> None:
        """Let Kopf watch. Raises WatchEnded."""
        watched = self._world.options.watched
        registry = kopf.OperatorRegistry()
        watch(registry, self._workers, self._access, namespaces=self._survey.reads_namespaces)
        started = asyncio.Event()
        await until_first(
            kopf.operator(
                registry=registry,
                settings=settings(scanning=not watched),
                clusterwide=not watched,
                namespaces=list(watched),
                ready_flag=started,
            ),
            self._take_signals_back(started),
        )
        raise WatchEnded("Kopf has ended")

    async def _take_signals_back(self, started: asyncio.Event) -> None:
        await started.wait()
        self._take_signals()
        await asyncio.Event().wait()

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._world.options.resync)
            try:
                await self._survey.again()
            except OperatorError as error:
                log.warning("the cluster can't be read: %s [%s]", error, error.reason)
