"""OpenTelemetry traces: from the producer's `traceparent` to what the provider answered.

Nothing of OpenTelemetry is imported unless a place to send spans to is set, so that who doesn't trace pays
nothing. Spans name flows, steps and providers; no address, no data.
"""

import os
from typing import TYPE_CHECKING

from emailflow_runtime.app.ports import Clock

if TYPE_CHECKING:
    from emailflow_runtime.adapters.tracing.spans import Tracing

EXPORT_WITHIN = 2
"""Seconds, unless the environment says otherwise: a collector that is away must not hold up an end."""
TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def tracing(clock: Clock) -> "Tracing | None":
    """What traces, if the environment names an endpoint (OTLP over HTTP) and doesn't switch the SDK off."""
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if off or not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from emailflow_runtime.adapters.tracing.spans import Tracing

    timeout = None if any(os.environ.get(name) for name in TIMEOUTS) else EXPORT_WITHIN
    return Tracing(BatchSpanProcessor(OTLPSpanExporter(timeout=timeout)), clock)
