"""Reviews, answered in a process that can be killed: one at a time, each within its time, few waiting.

What is not answered in time is let in with a warning once it is known what it was: the operator checks every
object again, and one that takes too long to check is held there. A pod that can't be looked at is no such
thing: it would start without its sidecar, so that is the configuration's `failurePolicy` to decide, as is
everything that comes while too much is waiting.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Literal, assert_never

import msgspec

from emailflow_operator.adapters.confined.process import ConfinedProcess, Ended, ProcessUnavailable
from emailflow_operator.admission.lister import Lister
from emailflow_operator.admission.review_frames import (
    Answer,
    Found,
    Get,
    Of,
    Order,
    Read,
    decode_answer,
    decode_question,
    encode,
)
from emailflow_operator.errors import OperatorError
from emailflow_operator.injection import SidecarSettings

CHILD = ("-m", "emailflow_operator.admission.review_child")
WITHIN = 4.0
"""Seconds for a review, reading and waiting included: the configurations say 5."""
SECONDS = 3.0
"""Of processor time."""
MEMORY = 64 << 20
TIMES_ITS_SIZE = 8
"""Bytes that a review may take, beside MEMORY, of its own size."""
AT_ONCE = 4
"""Reviews whose bodies are held."""
WAITING = 32
"""Reviews that wait beside those."""
LARGEST_BESIDE = 16 << 20
"""Bytes of other objects that one review may look at."""
NOT_CHECKED = "EmailFlow could not check this in time; its status will say what is wrong, if anything"

log = logging.getLogger(__name__)
Path = Literal["validate", "inject"]


class Beside:
    """What a review may know of other objects."""

    def __init__(self, lister: Lister | None) -> None:
        self._lister = lister
        self._left = LARGEST_BESIDE
        self.uid = ""

    @property
    def is_known(self) -> bool:
        """Whether there is anything to look at."""
        return self._lister is not None

    def answer(self, body: bytes) -> bytes:
        """Answer the child. Raises msgspec.DecodeError when it does not speak as agreed."""
        match question := decode_question(body):
            case Read():
                self.uid = question.uid
                return encode(Found())
            case _ if self._lister is None:
                return encode(Found(too_much=True))
            case Get():
                found = self._lister.get(question.kind, question.namespace, question.name)
                return self._said([] if found is None else [found])
            case Of():
                return self._said(self._lister.of(question.kind, question.namespace))
            case _:
                assert_never(question)

    def _said(self, objects: Iterable[Mapping[str, Any]]) -> bytes:
        parts: list[dict[str, Any]] = []
        for each in objects:
            try:
                self._left -= len(msgspec.msgpack.encode(each))
            except (RecursionError, ValueError, TypeError):
                return encode(Found(too_much=True))
            if self._left < 0:
                return encode(Found(too_much=True))
            parts.append(dict(each))
        return encode(Found(parts))


class Reviewer:
    """Answers reviews, whatever comes. `close` in the end."""

    def __init__(
        self,
        lister: Callable[[], Lister | None],
        sidecars: SidecarSettings,
        *,
        within: float = WITHIN,
        child: tuple[str, ...] = CHILD,
    ) -> None:
        """`lister` gives the objects known now, or None. `child` is what Python is given to run."""
        self._lister = lister
        self._sidecars = asdict(sidecars)
        self._within = within
        self._process = ConfinedProcess(child, patience=within)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def answer(self, path: Path, read: Callable[[], Awaitable[bytes]]) -> Answer:
        """The answer to a review, whose body `read` gives."""
        if self._waiting >= AT_ONCE + WAITING:
            return _unavailable("Busy")
        beside = Beside(self._lister())
        self._waiting += 1
        try:
            async with asyncio.timeout(self._within), self._slots:
                return await self._reviewed(path, await read(), beside)
        except (TimeoutError, Ended) as error:
            log.warning("a review was not answered in time: %s", type(error).__name__)
            return _let_in(beside.uid) if beside.uid and path == "validate" else _unavailable("ReviewTimeout")
        except ProcessUnavailable as error:
            log.warning("a review can't be answered: %s [%s]", error, error.reason)
            return _unavailable(error.reason)
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the process."""
        await self._process.close()

    async def _reviewed(self, path: Path, body: bytes, beside: Beside) -> Answer:
        order = Order(path, self._sidecars, beside.is_known, MEMORY + TIMES_ITS_SIZE * len(body), SECONDS)

        async def frames() -> AsyncIterator[bytes]:
            yield encode(order)
            yield body

        try:
            return decode_answer(await self._process.converse(frames(), beside.answer))
        except msgspec.DecodeError:
            return Answer(500, json.dumps({"reason": OperatorError.reason}).encode())


def _let_in(uid: str) -> Answer:
    response = {"uid": uid, "allowed": True, "warnings": [NOT_CHECKED]}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return Answer(200, json.dumps(review).encode())


def _unavailable(reason: str) -> Answer:
    return Answer(503, json.dumps({"reason": reason}).encode())
