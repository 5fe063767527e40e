"""Ports that count and time what passes through them. Each does just what the one inside it does."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from time import perf_counter

from emailflow_api.jetstream.naming import reader_name
from emailflow_runtime.adapters.metrics.series import Series
from emailflow_runtime.app.ports import Ingest, Rendered, Renderer, RenderRequest
from emailflow_runtime.app.stores import (
    Change,
    DeadLetter,
    DeadLetters,
    EnrolmentKey,
    EventLog,
    InHand,
    LogEntry,
    Place,
    RecordHead,
    StateStore,
)
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.journey import Enrolment, Record
from emailflow_runtime.errors import EmailFlowError, RecordUnreadable


class MeasuredIngest:
    """The port Ingest, counted."""

    def __init__(self, inner: Ingest, series: Series, *, refusals: bool = True) -> None:
        self._refusals = refusals
        self._inner = inner
        self._series = series

    async def accept(self, event: CloudEvent) -> None:
        """See Ingest."""
        begun = perf_counter()
        try:
            await self._inner.accept(event)
        except EmailFlowError as error:
            if self._refusals:
                self._series.events_refused(error.reason).inc()
            raise
        self._series.events_accepted().inc()
        self._series.accept_seconds().observe(perf_counter() - begun)


class MeasuredLog:
    """The port EventLog, timed."""

    def __init__(self, inner: EventLog, series: Series) -> None:
        self._inner = inner
        self._series = series

    @property
    def largest(self) -> int:
        """See EventLog."""
        return self._inner.largest

    async def append(self, entries: Sequence[LogEntry]) -> None:
        """See EventLog."""
        begun = perf_counter()
        await self._inner.append(entries)
        self._series.append_seconds().observe(perf_counter() - begun)
        self._series.append_events().observe(len(entries))

    async def last_sequence(self, shard: int) -> int:
        """See EventLog."""
        return await self._inner.last_sequence(shard)

    async def last_arrival(self, shard: int) -> int:
        """See EventLog."""
        return await self._inner.last_arrival(shard)

    async def last_fact(self, shard: int, types: Collection[str]) -> int:
        """See EventLog."""
        return await self._inner.last_fact(shard, types)

    async def fill(self) -> float:
        """See EventLog."""
        share = await self._inner.fill()
        self._series.log_fill().set(share)
        return share


class MeasuredDeadLetters:
    """The port DeadLetters, counted."""

    def __init__(self, inner: DeadLetters, series: Series) -> None:
        self._inner = inner
        self._series = series

    async def keep(self, letter: DeadLetter) -> None:
        """See DeadLetters."""
        await self._inner.keep(letter)
        self._series.dead_letters(letter.reason, reader_name(letter.origin)).inc()


class MeasuredRenderer:
    """The port Renderer, timed."""

    def __init__(self, inner: Renderer, series: Series) -> None:
        self._inner = inner
        self._series = series

    async def render(self, request: RenderRequest) -> Rendered:
        """See Renderer."""
        begun = perf_counter()
        result = "failed"
        try:
            rendered = await self._inner.render(request)
            result = "rendered"
            return rendered
        finally:
            self._series.render_seconds(result).observe(perf_counter() - begun)


class MeasuredState:
    """The port StateStore, its commits timed."""

    def __init__(self, inner: StateStore, series: Series) -> None:
        self._inner = inner
        self._series = series

    async def now(self) -> int:
        """See StateStore."""
        return await self._inner.now()

    async def claim(self) -> int:
        """See StateStore."""
        return await self._inner.claim()

    async def commit(self, changes: Sequence[Change]) -> int:
        """See StateStore."""
        begun = perf_counter()
        sequence = await self._inner.commit(changes)
        self._series.commit_seconds().observe(perf_counter() - begun)
        self._series.commit_changes().observe(len(changes))
        return sequence

    async def enrolments(
        self, keys: Iterable[EnrolmentKey]
    ) -> dict[EnrolmentKey, Enrolment | RecordUnreadable]:
        """See StateStore."""
        return await self._inner.enrolments(keys)

    async def records(self, places: Iterable[Place]) -> dict[Place, Record | RecordUnreadable]:
        """See StateStore."""
        return await self._inner.records(places)

    async def contacts(self, keys: Iterable[str]) -> dict[str, Contact | RecordUnreadable]:
        """See StateStore."""
        return await self._inner.contacts(keys)

    async def relay_position(self) -> int:
        """See StateStore."""
        return await self._inner.relay_position()

    async def in_hand(self) -> InHand:
        """See StateStore."""
        return await self._inner.in_hand()

    def scan(self) -> AsyncIterator[RecordHead]:
        """See StateStore."""
        return self._inner.scan()
