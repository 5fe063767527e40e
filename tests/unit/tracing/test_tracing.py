"""Traces out of a journey's facts, and that nobody pays for them who doesn't trace."""

import subprocess
import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from emailflow_runtime.adapters.tracing import ENDPOINTS, tracing
from emailflow_runtime.adapters.tracing.spans import Tracing
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.evolve import evolve
from emailflow_runtime.errors import InvalidEvent, RenderError

SECOND = 1_000_000_000
NOON = 1_795_521_600 * SECOND
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Noon:
    """A clock that stands."""

    def now(self):
        return NOON


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def traced(exporter):
    return Tracing(SimpleSpanProcessor(exporter), Noon())


def event(**extensions):
    return CloudEvent(id="1", source="/shop", type="com.example.cart", extensions=extensions)


def tell(traced, *facts):
    journey = None
    for fact in facts:
        before, journey = journey, evolve(journey, fact)
        traced.folded(before, journey, fact)


def waiting(cause):
    named = {"flow": "shop_cart", "contact": "c1", "instance": "-", "revision": "r1"}
    return (
        f.Entered(journey="j1", number=1, at=NOON - SECOND, event=cause, **named),
        f.Advanced(journey="j1", number=2, at=NOON - SECOND, path=("pause",), wake_at=NOON, timer=1),
        f.Completed(journey="j1", number=3, at=NOON + 2 * SECOND, result="Completed"),
    )


def test_a_wait_is_a_span_from_its_begin_to_its_end(traced, exporter):
    tell(traced, *waiting(event(traceparent=PARENT)))

    decide, wait = exporter.get_finished_spans()
    assert (decide.name, wait.name) == ("decide", "wait")
    assert (wait.start_time, wait.end_time) == (NOON - SECOND, NOON + 2 * SECOND)
    assert wait.attributes["emailflow.step"] == "pause"
    assert f"{wait.context.trace_id:032x}" in PARENT
    assert f"{wait.parent.span_id:016x}" in PARENT


def test_an_event_without_a_traceparent_is_not_traced(traced, exporter):
    tell(traced, *waiting(event()))

    assert exporter.get_finished_spans() == ()


@pytest.mark.parametrize("broken", ["", "nonsense", "00-0-0-01"])
def test_a_traceparent_that_is_none_does_no_harm(traced, exporter, broken):
    tell(traced, *waiting(event(traceparent=broken)))

    assert all(span.parent is None for span in exporter.get_finished_spans())


def test_a_producer_that_does_not_sample_is_not_traced(traced, exporter):
    tell(traced, *waiting(event(traceparent=PARENT.removesuffix("01") + "00")))

    assert exporter.get_finished_spans() == ()


async def test_a_refused_event_is_a_span_with_its_reason(traced, exporter):
    class Refusing:
        async def accept(self, event):
            raise InvalidEvent("no")

    with pytest.raises(InvalidEvent):
        await traced.ingest(Refusing()).accept(event(traceparent=PARENT))

    (span,) = exporter.get_finished_spans()
    assert span.status.description == "InvalidEvent"


async def test_rendering_that_fails_is_a_span_with_its_reason(traced, exporter):
    class Failing:
        async def render(self, request):
            raise RenderError("no")

    class Request:
        context = {"event": {"traceparent": PARENT}}

        class template:  # noqa: N801 - stands for a plan
            namespace, name = "shop", "cart"

    with pytest.raises(RenderError):
        await traced.renderer(Failing()).render(Request())

    (span,) = exporter.get_finished_spans()
    assert (span.name, span.status.description) == ("render", "RenderFailed")
    assert span.attributes["emailflow.template"] == "shop/cart"


def test_nothing_is_traced_unless_there_is_somewhere_to_send_it(monkeypatch):
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert tracing(Noon()) is None

    monkeypatch.setenv(ENDPOINTS[0], "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert tracing(Noon()) is None


def test_a_runtime_that_does_not_trace_does_not_import_opentelemetry():
    asked = (
        "import emailflow_runtime.wiring.laptop, sys; print(sum('opentelemetry' in m for m in sys.modules))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=60, check=True
    )

    assert answer.stdout.strip() == "0"
