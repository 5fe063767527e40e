"""Spans out of facts and around ports. Only events that bring a `traceparent` are traced.

A journey outlives processes, so no span stays open: each is made when its end is known, from moments that
the journey's record carries, as a child of the producer's span.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from emailflow_api.jetstream.naming import reader_name
from emailflow_runtime.app.ports import Clock, Ingest, Rendered, Renderer, RenderRequest
from emailflow_runtime.app.sender import START_WITHIN
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.journey import Journey, Mail
from emailflow_runtime.errors import EmailFlowError

SECOND = 1_000_000_000

_propagator = TraceContextTextMapPropagator()
_Answer = f.MailAccepted | f.MailDeferred | f.MailFailed | f.MailUnknown


class Tracing:
    """A Telemetry, and wrappers of ports. `close` sends what is waiting."""

    def __init__(self, processor: SpanProcessor, clock: Clock) -> None:
        self._clock = clock
        named = Resource.create().merge(Resource({SERVICE_NAME: "emailflow"}))
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("emailflow")

    async def close(self) -> None:
        """Send the spans that wait, in the bounds that the exporter keeps."""
        await asyncio.to_thread(self._provider.shutdown)

    def ingest(self, inner: Ingest) -> Ingest:
        """The port Ingest, traced."""
        return _TracedIngest(inner, self)

    def renderer(self, inner: Renderer) -> Renderer:
        """The port Renderer, traced."""
        return _TracedRenderer(inner, self)

    def now(self) -> int:
        """Nanoseconds since 1970 UTC."""
        return self._clock.now()

    def span(
        self,
        name: str,
        carrier: Mapping[str, Any],
        begun: int,
        ended: int,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        problem: str = "",
        **attributes: str | int,
    ) -> None:
        """One span that is over, if `carrier` brings a `traceparent`."""
        parent = _parent(carrier)
        if parent is None:
            return
        named = {f"emailflow.{key}": value for key, value in attributes.items()}
        span = self._tracer.start_span(name, parent, kind, attributes=named, start_time=begun)
        if problem:
            span.set_status(Status(StatusCode.ERROR, problem))
        span.end(max(begun, ended))

    # --- Telemetry ----------------------------------------------------------------------------------

    def owned(self, shard: int, *, held: bool) -> None:
        """See Telemetry."""

    def taken_over(self, shard: int, *, clean: bool, seconds: float) -> None:
        """See Telemetry."""

    def lost(self, shard: int) -> None:
        """See Telemetry."""

    def relaying(self, shard: int, backlog: Callable[[], int]) -> None:
        """See Telemetry."""

    def holding(self, shard: int, held: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """See Telemetry."""

    def folded(self, before: Journey | None, after: Journey, fact: f.Fact) -> None:
        """See Telemetry."""
        carrier = after.event.extensions
        if "traceparent" not in carrier:
            return
        flow = reader_name(after.flow)
        if isinstance(fact, f.Entered):
            self.span("decide", carrier, fact.at, self.now(), flow=flow, journey=fact.journey)
        elif before is not None and before.wake_at and not after.wake_at:
            self.span("wait", carrier, before.at, fact.at, flow=flow, step=before.step, journey=fact.journey)
        if isinstance(fact, _Answer) and before is not None and before.mail is not None:
            self._answered(before.mail, fact, carrier, flow)

    def _answered(self, mail: Mail, fact: _Answer, carrier: Mapping[str, Any], flow: str) -> None:
        if mail.status != "Attempted":
            return
        self.span(
            "hand over",
            carrier,
            mail.start_by - START_WITHIN * SECOND,
            fact.at,
            kind=SpanKind.CLIENT,
            problem="" if isinstance(fact, f.MailAccepted) else fact.reason,
            flow=flow,
            step=mail.step,
            mail=mail.id,
            provider=mail.provider,
            attempt=mail.attempts,
            outcome=type(fact).__name__.removeprefix("Mail"),
        )


def _parent(carrier: Mapping[str, Any]) -> Context | None:
    if "traceparent" not in carrier:
        return None
    named = {name: str(carrier[name]) for name in ("traceparent", "tracestate") if name in carrier}
    return _propagator.extract(named, Context())


class _TracedIngest:
    def __init__(self, inner: Ingest, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def accept(self, event: CloudEvent) -> None:
        if "traceparent" not in event.extensions:
            await self._inner.accept(event)
            return
        begun, problem = self._tracing.now(), "InternalError"
        try:
            await self._inner.accept(event)
            problem = ""
        except EmailFlowError as error:
            problem = error.reason
            raise
        finally:
            ended = self._tracing.now()
            self._tracing.span(
                "accept",
                event.extensions,
                begun,
                ended,
                kind=SpanKind.CONSUMER,
                problem=problem,
                type=event.type,
            )


class _TracedRenderer:
    def __init__(self, inner: Renderer, tracing: Tracing) -> None:
        self._inner = inner
        self._tracing = tracing

    async def render(self, request: RenderRequest) -> Rendered:
        begun, problem = self._tracing.now(), "InternalError"
        try:
            rendered = await self._inner.render(request)
            problem = ""
            return rendered
        except EmailFlowError as error:
            problem = error.reason
            raise
        finally:
            event, ended = request.context.get("event", {}), self._tracing.now()
            template = request.template
            self._tracing.span(
                "render",
                event,
                begun,
                ended,
                problem=problem,
                template=f"{template.namespace}/{template.name}",
            )
