"""The door itself: takes what is published, and settles each message once it knows what became of it.

Accepted means that the event is on disk in EVENTS; only then the message is acknowledged. Whatever can't be
accepted, ever, is a dead letter first. What can't be accepted now comes again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from emailflow_api.jetstream.naming import type_tokens
from emailflow_runtime.app.inbound import Inbound, InboundQueue, Refusal
from emailflow_runtime.app.ports import Ingest
from emailflow_runtime.core.cloudevents import nats
from emailflow_runtime.core.cloudevents.errors import TooLarge
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import EmailFlowError, InvalidEvent, Unavailable

MAX_IN_FLIGHT = 2000
MAX_BYTES = 32 << 20
"""Of messages in flight: nothing more is taken while there are as many."""
"""Messages taken and not settled."""
ATTEMPTS = 5
"""How often a message may fail in a way that nobody foresaw before it is a dead letter."""
LONGEST_PAUSE = 5.0
RETRY_AFTER = 1.0

log = logging.getLogger(__name__)


class TypeMismatch(InvalidEvent):
    """The subject names another type than the event: whoever may publish one type must not send others."""

    reason = "TypeMismatch"


class NatsDoor:
    """Serves one queue. `max_bytes` is the most that an event's message may weigh now; `refused` hears the
    reason of each message that is no event."""

    def __init__(
        self,
        queue: InboundQueue,
        ingest: Ingest,
        *,
        max_bytes: Callable[[], int],
        refused: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._ingest = ingest
        self._max_bytes = max_bytes
        self._refused = refused
        self._in_flight = 0
        self._bytes = 0
        self._settled = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._pause = 0.0
        self._taking: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        """Whether it takes messages."""
        return self._taking is not None and not self._taking.done()

    async def run(self) -> None:
        """Serve until cancelled or stopped."""
        self._taking = asyncio.create_task(self._take())
        try:
            await asyncio.wait({self._taking})
        except asyncio.CancelledError:
            for task in (self._taking, *self._working):
                task.cancel()
            raise
        if not self._taking.cancelled():
            self._taking.result()

    async def stop(self, within: float) -> None:
        """Take nothing more, and give what was taken so many seconds to be settled."""
        if self._taking is not None:
            self._taking.cancel()
        with contextlib.suppress(Unavailable):
            await self._queue.close()
        if self._working:
            await asyncio.wait(set(self._working), timeout=within)

    async def _take(self) -> None:
        while True:
            while self._in_flight >= MAX_IN_FLIGHT or self._bytes >= MAX_BYTES:
                self._settled.clear()
                await self._settled.wait()
            await asyncio.sleep(self._pause)
            self._pause = 0.0
            batch = await self._queue.take()
            self._in_flight += len(batch)
            self._bytes += sum(len(each.data) for each in batch)
            task = asyncio.create_task(self._serve(batch))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _serve(self, batch: Sequence[Inbound]) -> None:
        try:
            # All at once, so that one group commit carries them; tasks start in order, and are stored so.
            done = await asyncio.gather(*map(self._settle, batch))
            with contextlib.suppress(Unavailable):
                await self._queue.acknowledge(
                    [message for message, is_done in zip(batch, done, strict=True) if is_done]
                )
        finally:
            self._in_flight -= len(batch)
            self._bytes -= sum(len(each.data) for each in batch)
            self._settled.set()

    async def _settle(self, message: Inbound) -> bool:
        """Whether the message is done with; else it will come again."""
        event: CloudEvent | None = None
        try:
            if len(message.data) > self._max_bytes():
                raise TooLarge(f"data: expected at most {self._max_bytes()} bytes")
            event = nats.decode(message.headers, message.data)
            if type_tokens(event.type) != message.types:
                raise TypeMismatch("type: expected the type that the subject names")
            await self._ingest.accept(event)
            return True
        except InvalidEvent as invalid:
            refusal = invalid
        except Unavailable as away:
            self._pause = min(float(away.retry_after), LONGEST_PAUSE)
            return await self._later(message, away.retry_after)
        except Exception as error:
            log.exception("an event could not be handed in")
            if message.deliveries < ATTEMPTS:
                return await self._later(message, RETRY_AFTER * 2**message.deliveries)
            refusal = InvalidEvent(f"it failed {ATTEMPTS} times: {type(error).__name__}")
            refusal.reason = "PoisonInput"
        return await self._refuse(message, refusal, event)

    async def _refuse(self, message: Inbound, error: EmailFlowError, event: CloudEvent | None) -> bool:
        refusal = Refusal(error.reason, str(error), event.id if event else "", event.source if event else "")
        try:
            await self._queue.refuse(message, refusal)
            self._refused(error.reason)
            await self._queue.answer(message, refusal)
        except Unavailable as away:
            log.warning("a dead letter is not kept yet: %s", away)
            return await self._later(message, RETRY_AFTER)
        return True

    async def _later(self, message: Inbound, seconds: float) -> bool:
        with contextlib.suppress(Unavailable):
            await self._queue.postpone(message, seconds)
        return False
