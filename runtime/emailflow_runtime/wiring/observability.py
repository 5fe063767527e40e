"""Metrics and traces around the parts of one runtime. It wraps, and measures nothing itself."""

import contextlib
from collections.abc import Iterable

from emailflow_api.jetstream.naming import Names, reader_name
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.adapters.jetstream.lags import flow_lags
from emailflow_runtime.adapters.metrics import FlowLag, Metrics
from emailflow_runtime.adapters.metrics.measured import (
    MeasuredDeadLetters,
    MeasuredIngest,
    MeasuredLog,
    MeasuredRenderer,
    MeasuredState,
)
from emailflow_runtime.adapters.system_clock import SystemClock
from emailflow_runtime.adapters.tracing import tracing
from emailflow_runtime.app.ports import Ingest, Renderer
from emailflow_runtime.app.stores import DeadLetters, EventLog, StateStore
from emailflow_runtime.app.telemetry import Several, Telemetry
from emailflow_runtime.errors import Unavailable


class Observability:
    """One for each runtime. `telemetry` goes to its shards, `page` is what `/metrics` shows."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self.metrics = Metrics()
        self.metrics.connected = lambda: connection.connected
        self.metrics.lags = self._lags
        self._tracing = tracing(SystemClock())
        self.telemetry: Telemetry = Several([self.metrics, self._tracing]) if self._tracing else self.metrics
        self.page = self.metrics.page

    async def _lags(self) -> Iterable[FlowLag]:
        """None while NATS is away: then the gauges are gone, not stale."""
        with contextlib.suppress(Unavailable, JetStreamError):
            return [FlowLag(*lag) for lag in await flow_lags(self._connection, self._names)]
        return []

    def refused(self, reason: str) -> None:
        """A door has refused something before it was an event."""
        self.metrics.series.events_refused(reason).inc()

    def dead_letter(self, reason: str, origin: str) -> None:
        """A reader has put aside what is no event."""
        self.metrics.series.dead_letters(reason, reader_name(origin)).inc()

    def ingest(self, inner: Ingest, *, refusals: bool = True) -> Ingest:
        """Ingest, counted and traced; without `refusals` where a door says all of them itself."""
        measured = MeasuredIngest(inner, self.metrics.series, refusals=refusals)
        return self._tracing.ingest(measured) if self._tracing else measured

    def log(self, inner: EventLog) -> EventLog:
        """EVENTS, timed."""
        return MeasuredLog(inner, self.metrics.series)

    def dead_letters(self, inner: DeadLetters) -> DeadLetters:
        """DEADLETTER, counted."""
        return MeasuredDeadLetters(inner, self.metrics.series)

    def renderer(self, inner: Renderer) -> Renderer:
        """Rendering, timed and traced."""
        measured = MeasuredRenderer(inner, self.metrics.series)
        return self._tracing.renderer(measured) if self._tracing else measured

    def state(self, inner: StateStore) -> StateStore:
        """STATE, its commits timed."""
        return MeasuredState(inner, self.metrics.series)

    async def close(self) -> None:
        """Send the traces that wait."""
        if self._tracing is not None:
            await self._tracing.close()
