"""All workers: an object's change marks those that it concerns, and who has nothing to do any more goes."""

import asyncio
import logging

from emailflow_operator.control.worker import Need, Worker
from emailflow_operator.control.world import World
from emailflow_operator.reconcile.cluster import Change, Object, name_of
from emailflow_operator.reconcile.scope import RuntimeKey, concerned

log = logging.getLogger(__name__)


class Workers:
    """`note` what has changed. Workers run from `start` on, when everything has been seen once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._workers: dict[RuntimeKey, tuple[Worker, asyncio.Task[None]]] = {}
        self._started = False

    def note(self, value: Object) -> None:
        """An object is there, new or changed."""
        kind = value["kind"]
        before = self._world.cluster.get(kind, *name_of(value))
        keys = concerned(self._world.cluster, before) if before is not None and self._started else set()
        change = self._world.cluster.put(kind, value)
        self._world.measures.objects = self._world.cluster.size
        if change is Change.NONE or not self._started:
            return
        need = Need.CHANGE if change is Change.SPEC and kind != "Deployment" else Need.LOOK
        if kind == "Deployment" and change is Change.SPEC:
            need = Need.RESYNC  # somebody else may have changed what is ours
        self._mark(keys | concerned(self._world.cluster, value), need)

    def note_gone(self, value: Object) -> None:
        """An object is there no more."""
        keys = concerned(self._world.cluster, value)
        self._world.cluster.remove(value["kind"], *name_of(value))
        self._world.measures.objects = self._world.cluster.size
        if self._started:
            need = Need.RESYNC if value["kind"] == "Deployment" else Need.CHANGE
            self._mark(keys | concerned(self._world.cluster, value), need)

    def clear_away(self, key: RuntimeKey) -> None:
        """Streams are there whose EmailRuntime is not, and which it wanted deleted."""
        self._mark({key}, Need.CHANGE)
        self._workers[key][0].clear_away()

    def start(self) -> None:
        """Everything has been seen once: begin."""
        self._started = True
        self.mark_all(Need.RESYNC)

    def mark_all(self, need: Need) -> None:
        """Every runtime that anything names is to be looked at."""
        self._let_go()  # first: who is marked has something to do
        keys: set[RuntimeKey] = set(self._workers)
        for kind in (
            "EmailRuntime",
            "EmailFlow",
            "EmailTemplate",
            "EmailProvider",
            "ContactPolicy",
            "EventType",
        ):
            for value in self._world.cluster.of(kind):
                keys |= concerned(self._world.cluster, value)
        self._mark(keys, need)

    async def stop(self) -> None:
        """End all of them, and return when they have ended."""
        tasks = [task for _, task in self._workers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._workers.clear()

    def _mark(self, keys: set[RuntimeKey], need: Need) -> None:
        for key in keys:
            if key not in self._workers:
                worker = Worker(key, self._world)
                name = f"worker {'/'.join(key)}"
                self._workers[key] = worker, asyncio.create_task(worker.run(), name=name)
            self._workers[key][0].mark(need)
        self._world.measures.workers = len(self._workers)

    def _let_go(self) -> None:
        for key, (worker, task) in list(self._workers.items()):
            if worker.is_idle:
                task.cancel()
                del self._workers[key]
        self._world.measures.workers = len(self._workers)
