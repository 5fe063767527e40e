"""An event is accepted when the door has accepted it, and what the door says is what the app hears."""

import asyncio
import contextlib

import pytest

from emailflow_runtime.app.forwarding import LANES, MAX_ITEMS, Forwarder
from emailflow_runtime.core.cloudevents.errors import MissingAttribute, TooLarge
from emailflow_runtime.errors import Forbidden, Overloaded, Unavailable


@contextlib.asynccontextmanager
async def forwarding(sink, **settings):
    forwarder = Forwarder(sink, **settings)
    running = asyncio.create_task(forwarder.run())
    try:
        yield forwarder
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_an_event_is_accepted_when_the_door_has_it(sink, event):
    async with forwarding(sink) as forwarder:
        await forwarder.accept(event(1))
    assert sink.taken == ["1"]


@pytest.mark.parametrize(
    "refusal", [MissingAttribute("id"), TooLarge("body"), Forbidden("no"), Overloaded("busy", retry_after=7)]
)
async def test_a_refusal_is_passed_on_as_it_is(sink, event, refusal):
    sink.verdicts["1"] = refusal
    async with forwarding(sink) as forwarder:
        with pytest.raises(type(refusal)) as raised:
            await forwarder.accept(event(1))
    assert raised.value is refusal
    assert len(sink.calls) == 1


async def test_a_door_that_is_away_for_a_moment_is_not_noticed(sink, event):
    sink.script = [Unavailable("away")] * 3
    async with forwarding(sink, budget=30) as forwarder:
        await forwarder.accept(event(1))
    assert sink.taken == ["1"]
    assert len(sink.calls) == 4


async def test_a_door_that_stays_away_is_said_with_its_own_words(sink, event):
    sink.verdicts["1"] = Unavailable("the log is full", retry_after=30)
    async with forwarding(sink, budget=0.01) as forwarder:
        with pytest.raises(Unavailable, match="the log is full") as raised:
            await forwarder.accept(event(1))
    assert raised.value.retry_after == 30


async def test_an_answer_that_never_comes_is_an_honest_no(sink, event):
    class Silent:
        async def send(self, events):
            await asyncio.Event().wait()

    async with forwarding(Silent(), budget=0.01) as forwarder:
        for number in range(LANES + 2):
            with pytest.raises(Unavailable):
                await forwarder.accept(event(number))


async def test_a_batch_goes_in_few_requests(sink, event):
    async with forwarding(sink) as forwarder:
        await asyncio.gather(*(forwarder.accept(event(n)) for n in range(250)))
    assert sorted(map(int, sink.taken)) == list(range(250))
    assert len(sink.calls) <= 250 // MAX_ITEMS + LANES
    assert max(len(ids) for ids, _ in sink.calls) <= MAX_ITEMS


async def test_one_bad_event_of_a_batch_leaves_the_others_alone(sink, event):
    sink.verdicts["3"] = MissingAttribute("id")
    async with forwarding(sink) as forwarder:
        outcomes = await asyncio.gather(
            *(forwarder.accept(event(n)) for n in range(6)), return_exceptions=True
        )
    assert [type(each) for each in outcomes if each is not None] == [MissingAttribute]
    assert sorted(sink.taken) == ["0", "1", "2", "4", "5"]


async def test_large_events_do_not_share_a_request(sink, event):
    async with forwarding(sink) as forwarder:
        await asyncio.gather(*(forwarder.accept(event(n, size=200_000)) for n in range(4)))
    assert [len(ids) for ids, _ in sink.calls] == [1] * 4


async def test_a_sink_with_a_defect_is_no_reason_to_lose_an_event_silently(event):
    class Broken:
        async def send(self, events):
            raise RuntimeError("defect")

    async with forwarding(Broken(), budget=0.01) as forwarder:
        with pytest.raises(Unavailable):
            await forwarder.accept(event(1))
