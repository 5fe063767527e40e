"""Compiling what authors write, in a process that can be killed: an object that takes too long or too much is
given up, by name, and everything else is compiled.

An object that was given up is not tried again while it stays the same, but for once in a while: the machine
may have been to blame.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import msgspec

from emailflow_api.errors import Finding, Severity
from emailflow_api.reading import Document
from emailflow_operator.adapters.confined.process import IDLE, ConfinedProcess, Ended, ProcessUnavailable
from emailflow_operator.control.compile_frames import Item, Job, compile_too_large, decode_compiled, encode
from emailflow_operator.reconcile.desired import Compiled
from emailflow_operator.reconcile.scope import RuntimeKey, Sources

CHILD = ("-m", "emailflow_operator.control.compile_child")
SECONDS = 5.0
"""Of processor time for one object; 512 KiB of nothing but Jinja2's tags take two. Half of it for each next
one that is given up in the same job."""
SHORTEST = 1.0
PATIENCE = 30.0
"""Seconds for one object by the clock, on a machine that is busy with everything else."""
MEMORY = 128 << 20
"""Bytes beside those that all objects of a job take anyway."""
TIMES_ITS_SIZE = 16
"""What an object takes, decoded, checked, compiled and encoded again, of its own size as text."""
TRY_AGAIN_AFTER = 600.0
"""Seconds."""
_UNEXPLAINED = 3
"""Ends in one job that no object can be blamed for: the machine may be short of memory."""
_KEPT = 10_000
_CHUNK = 64
"""Objects between two turns of the event loop."""

log = logging.getLogger(__name__)


class _GivenUp(NamedTuple):
    finding: Finding
    version: object
    until: float


class Compiler:
    """One process for all runtimes, a job at a time, in order of arrival. `close` in the end."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        seconds: float = SECONDS,
        patience: float = PATIENCE,
        child: tuple[str, ...] = CHILD,
        idle: float = IDLE,
    ) -> None:
        """`clock` is monotonic, in seconds; `child` is what Python is given to run."""
        self._clock = clock
        self._seconds = seconds
        self._process = ConfinedProcess(child, patience=patience, idle=idle)
        self._given_up: OrderedDict[str, _GivenUp] = OrderedDict()

    @property
    def pid(self) -> int | None:
        """The process id of the child, while there is one."""
        return self._process.pid

    async def compile(self, key: RuntimeKey, sources: Sources) -> Compiled:
        """What the sources compile to. Raises ProcessUnavailable."""
        seconds, suspected, unexplained = self._seconds, "", 0
        versions = dict(sources.version)
        while True:
            try:
                # Whoever waits for another runtime comes in between two tries.
                return await self._attempt(key, sources, versions, seconds)
            except Ended as ended:
                subject = ended.subject
                if subject in versions and (not ended.in_time or subject == suspected):
                    self._give_up(subject, versions[subject], in_time=ended.in_time)
                    seconds = max(seconds / 2, SHORTEST)
                    continue
                unexplained += 1
                suspected = subject
                if unexplained == _UNEXPLAINED:
                    raise ProcessUnavailable("the process to compile in ends, whatever it is at") from None

    async def close(self) -> None:
        """End the process."""
        await self._process.close()

    async def _attempt(
        self, key: RuntimeKey, sources: Sources, versions: dict[str, object], seconds: float
    ) -> Compiled:
        items, given_up = await self._items(sources.documents)
        given_up |= {**self._standing(versions), **sources.strangers}
        size = sum(len(each.value) for each in items)
        job = Job(key, len(items), MEMORY + TIMES_ITS_SIZE * size, seconds, given_up)

        async def frames() -> AsyncIterator[bytes]:
            yield encode(job)
            for each in items:
                yield encode(each)

        try:
            return decode_compiled(await self._process.converse(frames()))
        except msgspec.DecodeError as error:
            self._process.kill()
            raise ProcessUnavailable(f"the process to compile in gave no answer: {error}") from None

    async def _items(self, documents: list[Document]) -> tuple[list[Item], dict[str, Finding]]:
        items: list[Item] = []
        unsayable: dict[str, Finding] = {}
        for index, each in enumerate(documents):
            stub = {
                "apiVersion": each.api_version,
                "kind": each.kind,
                "metadata": {"namespace": each.namespace, "name": each.name},
            }
            try:
                value = msgspec.msgpack.encode(each.value)
            except (RecursionError, ValueError, TypeError, OverflowError):
                message = "is nested too deeply to be compiled"
                unsayable[each.subject] = Finding(
                    Severity.ERROR, "TooComplex", each.subject, "", message, "fewer levels"
                )
                value = msgspec.msgpack.encode(stub)
            items.append(Item(each.subject, stub, value))
            if index % _CHUNK == 0:
                await asyncio.sleep(0)
        return items, unsayable

    # --- what is given up ---------------------------------------------------------------------------

    def _standing(self, versions: dict[str, object]) -> dict[str, Finding]:
        """Of these the ones that are given up now; what has changed since is forgotten."""
        now, found = self._clock(), {}
        for subject in self._given_up.keys() & versions.keys():
            known = self._given_up[subject]
            if known.version == versions[subject] and now < known.until:
                found[subject] = known.finding
            else:
                del self._given_up[subject]
        return found

    def _give_up(self, subject: str, version: object, *, in_time: bool) -> None:
        if in_time:
            finding = compile_too_large(subject)
        else:
            message = f"takes more than {self._seconds:g} s to compile"
            finding = Finding(Severity.ERROR, "CompileTimeout", subject, "", message, "a smaller one")
        log.warning("%s: %s [%s]", subject, finding.message, finding.reason)
        self._given_up[subject] = _GivenUp(finding, version, self._clock() + TRY_AGAIN_AFTER)
        if len(self._given_up) > _KEPT:
            self._given_up.popitem(last=False)
