"""The sidecar's client against real HTTP: one try, and an outcome for each event whatever answers."""

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route

from emailflow_runtime.adapters.http_door import Anonymous, HttpDoor, Limits
from emailflow_runtime.adapters.http_server import HttpServer
from emailflow_runtime.adapters.http_sink import HttpSink, SinkUnreachable, TokenUnreadable
from emailflow_runtime.core.cloudevents.errors import TooLarge
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.errors import Unavailable


class Log:
    """The port Ingest in memory."""

    def __init__(self):
        self.events = []
        self.fault = None

    async def accept(self, event):
        if self.fault is not None:
            raise self.fault
        self.events.append(event)


@pytest.fixture
async def served():
    """Serve applications while the test runs; where `/events` is then."""
    servers = []

    async def serve(app):
        server = HttpServer(app)
        port = await server.start("127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{port}/events"

    yield serve
    for server in servers:
        await server.close()


def an_event(number, size=10, **more):
    data = b'"' + b"x" * size + b'"'
    return CloudEvent(**{"id": str(number), "source": "/shop", "type": "t", "data": data, **more})


EVENTS = {
    "json": an_event(1, datacontenttype="application/json"),
    "no media type": an_event(1, data=b'{"a":  1.0}'),
    "no data": an_event(1, data=None, subject="Größe %", time="2026-03-07T20:00:00Z"),
    "binary data": an_event(1, data=b"\x00\xff", datacontenttype="application/octet-stream"),
    "text": an_event(1, data="ä".encode(), datacontenttype="text/plain; charset=utf-8"),
    "an extension that is a number": an_event(1, extensions={"priority": 3, "ok": True, "note": "a b"}),
    "a trace": an_event(
        1, extensions={"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    ),
}


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
@pytest.mark.parametrize("count", [1, 2])
async def test_an_event_arrives_as_it_was_alone_and_in_company(served, event, count):
    log = Log()
    async with HttpSink(await served(HttpDoor(log, tokens=Anonymous())), None) as sink:
        assert await sink.send([event] * count) == [None] * count
    assert log.events == [event] * count


async def test_a_batch_that_is_too_large_for_the_door_is_sent_one_by_one(served):
    log = Log()
    url = await served(HttpDoor(log, tokens=Anonymous(), limits=Limits(max_body_bytes=2_000)))
    async with HttpSink(url, None) as sink:
        outcomes = await sink.send([an_event(1, 1_000), an_event(2, 5_000), an_event(3, 1_000)])
    assert [type(each) for each in outcomes] == [type(None), TooLarge, type(None)]
    assert [each.id for each in log.events] == ["1", "3"]


async def test_a_door_that_can_not_store_says_when_to_come_again(served):
    log = Log()
    log.fault = Unavailable("the log is full", retry_after=30)
    async with HttpSink(await served(HttpDoor(log, tokens=Anonymous())), None) as sink:
        for count in (1, 3):
            outcomes = await sink.send([an_event(n) for n in range(count)])
            assert [each.retry_after for each in outcomes] == [30] * count


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("hello"),
        PlainTextResponse("not here", 404),
        PlainTextResponse("bad", 400),
        RedirectResponse("http://127.0.0.1:1/"),
    ],
    ids=["200", "404", "400 without a reason", "a redirect"],
)
async def test_what_is_no_door_is_never_taken_for_an_answer_about_events(served, answer):
    async def reply(_):
        return answer

    url = await served(Starlette(routes=[Route("/events", reply, methods=["POST"])]))
    async with HttpSink(url, None) as sink:
        outcomes = await sink.send([an_event(1), an_event(2)])
    assert [type(each) for each in outcomes] == [SinkUnreachable] * 2


async def test_nobody_there_is_an_outcome_like_any_other():
    async with HttpSink("http://127.0.0.1:1/events", None) as sink:
        assert [type(each) for each in await sink.send([an_event(1)])] == [SinkUnreachable]


async def test_a_token_that_is_not_mounted_yet_is_waited_for(served, tmp_path):
    async with HttpSink(await served(HttpDoor(Log(), tokens=Anonymous())), tmp_path / "token") as sink:
        assert [type(each) for each in await sink.send([an_event(1)])] == [TokenUnreadable]
        (tmp_path / "token").write_text("abc\n")
        assert await sink.send([an_event(1)]) == [None]
