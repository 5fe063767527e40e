"""The spool on a real disk: what it acknowledged is there after any end, in order, and it stays bounded."""

import asyncio
import contextlib
import json
import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emailflow_runtime.adapters.spool import Spool, SpoolFull, SpoolUnusable, records
from emailflow_runtime.app.draining import Drain
from emailflow_runtime.core.cloudevents.errors import InvalidData
from emailflow_runtime.errors import Forbidden, Unavailable

BYTES = 4 << 20


@contextlib.asynccontextmanager
async def spooling(folder, max_bytes=BYTES, sink=None):
    """A spool that takes events, and drains into `sink` if there is one."""
    spool = Spool(folder, max_bytes)
    tasks = [asyncio.create_task(spool.run())]
    if sink is not None:
        tasks.append(asyncio.create_task(Drain(spool, sink).run()))
    try:
        yield spool
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await spool.close()


async def drained(folder, sink, max_bytes=BYTES):
    async with spooling(folder, max_bytes, sink) as spool, asyncio.timeout(20):
        await spool.until_empty()
    return sink.taken


async def fill(folder, events):
    async with spooling(folder) as spool:
        await asyncio.gather(*map(spool.accept, events))


async def test_events_are_there_after_a_restart_in_their_order(tmp_path, sink, event):
    async with spooling(tmp_path) as spool:
        for number in range(50):
            await spool.accept(event(number))
    assert await drained(tmp_path, sink) == [str(n) for n in range(50)]


async def test_what_is_drained_is_not_sent_again(tmp_path, sink, event):
    await fill(tmp_path, map(event, range(10)))
    await drained(tmp_path, sink)
    sink.calls.clear()
    assert await drained(tmp_path, sink) == []


async def test_data_keeps_its_bytes(tmp_path, event):
    class Keeping:
        events = []

        async def send(self, events):
            self.events += events
            return [None] * len(events)

    sent = [event(1), event(2)]
    await fill(tmp_path, sent)
    async with spooling(tmp_path, sink=Keeping()) as spool, asyncio.timeout(20):
        await spool.until_empty()
    assert Keeping.events == sent


async def test_a_torn_write_costs_only_what_was_never_acknowledged(tmp_path, sink, event):
    await fill(tmp_path, map(event, range(3)))
    [segment] = tmp_path.glob("*.segment")
    whole = segment.read_bytes()
    segment.write_bytes(whole + records.encode(4, b'{"half": "of a record"}')[:-3])
    async with spooling(tmp_path) as spool:
        await spool.accept(event(3))
    assert await drained(tmp_path, sink) == ["0", "1", "2", "3"]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), junk=st.binary(max_size=40))
async def test_any_tail_leaves_a_prefix_of_what_was_written(tmp_path, event, cut, junk):
    shutil.rmtree(tmp_path)
    await fill(tmp_path, map(event, range(8)))
    [segment] = tmp_path.glob("*.segment")
    whole = segment.read_bytes()
    kept = whole[: min(cut, len(whole))]
    segment.write_bytes(kept + junk)
    intact = [str(n) for n, each in enumerate(records.decode(whole)) if each.end <= len(kept)]

    class Sink:
        taken = []

        async def send(self, events):
            self.taken += [each.id for each in events]
            return [None] * len(events)

    Sink.taken = []
    async with spooling(tmp_path, sink=Sink()) as spool, asyncio.timeout(20):
        await spool.until_empty()
        await spool.accept(event(99))
        await spool.until_empty()
    assert Sink.taken == [*intact, "99"]


async def test_damage_in_the_middle_costs_one_file_and_no_more(tmp_path, sink, event):
    async with spooling(tmp_path) as spool:
        for number in range(40):
            await spool.accept(event(number, size=50_000))
    first, second, *_ = sorted(tmp_path.glob("*.segment"))
    data = bytearray(first.read_bytes())
    data[100] ^= 1
    first.write_bytes(bytes(data))
    after = int(second.stem) - 1
    assert await drained(tmp_path, sink) == [str(n) for n in range(after, 40)]


async def test_a_full_spool_says_so_and_takes_again_when_it_is_drained(tmp_path, sink, event):
    async with spooling(tmp_path) as spool:
        for number in range(41):
            await spool.accept(event(number, size=100_000))
        with pytest.raises(SpoolFull):
            await spool.accept(event(41, size=100_000))
        assert sum(each.stat().st_size for each in tmp_path.glob("*.segment")) <= BYTES
    assert len(await drained(tmp_path, sink)) == 41
    async with spooling(tmp_path) as spool:
        for number in range(30):
            await spool.accept(event(number, size=100_000))


async def test_a_burst_is_bounded_like_anything_else(tmp_path, event):
    async with spooling(tmp_path) as spool:
        outcomes = await asyncio.gather(
            *(spool.accept(event(n, size=100_000)) for n in range(100)), return_exceptions=True
        )
        assert outcomes.count(None) == spool.events
        assert {type(each) for each in outcomes if each is not None} == {SpoolFull}
    assert sum(each.stat().st_size for each in tmp_path.glob("*.segment")) <= BYTES


async def test_a_disk_that_can_not_be_written_is_an_honest_no(tmp_path, sink, event, monkeypatch):
    async with spooling(tmp_path) as spool:
        await spool.accept(event(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", _no_space)
            with pytest.raises(SpoolUnusable):
                await spool.accept(event(2))
            assert not spool.usable
        await spool.accept(event(3))
        assert spool.usable
    assert await drained(tmp_path, sink) == ["1", "3"]


async def test_a_failed_write_that_can_not_even_be_cut_off_hides_nothing(tmp_path, sink, event, monkeypatch):
    async with spooling(tmp_path) as spool:
        await spool.accept(event(1))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", _no_space)
            patch.setattr(os, "truncate", _no_space)
            with pytest.raises(SpoolUnusable):
                await spool.accept(event(2))
        for number in range(3, 6):
            await spool.accept(event(number))
    # Event 2 was answered with 503; that it arrives all the same is allowed, that others don't is not.
    assert [each for each in await drained(tmp_path, sink) if each != "2"] == ["1", "3", "4", "5"]


def _no_space(*_):
    raise OSError(28, "No space left on device")


async def test_a_door_that_is_away_is_waited_for(tmp_path, sink, event):
    sink.script = [Unavailable("away")]
    await fill(tmp_path, map(event, range(3)))
    assert await drained(tmp_path, sink) == ["0", "1", "2"]


async def test_a_door_that_lets_nobody_in_is_waited_for_too(tmp_path, sink, event):
    sink.script = [Forbidden("no"), Forbidden("no")]
    await fill(tmp_path, map(event, range(3)))
    assert await drained(tmp_path, sink) == ["0", "1", "2"]


async def test_what_the_door_refuses_is_set_aside_and_holds_nobody_up(tmp_path, sink, event):
    sink.verdicts["1"] = InvalidData("data: expected JSON")
    await fill(tmp_path, map(event, range(3)))
    assert await drained(tmp_path, sink) == ["0", "2"]
    [line] = (tmp_path / "refused.jsonl").read_text().splitlines()
    kept = json.loads(line)
    assert kept["reason"] == "InvalidData"
    assert kept["event"]["id"] == "1"


async def test_what_is_set_aside_is_bounded(tmp_path, sink, event):
    sink.verdicts = {str(n): InvalidData("no") for n in range(40)}
    await fill(tmp_path, [event(n, size=20_000) for n in range(40)])
    assert await drained(tmp_path, sink) == []
    kept = list(tmp_path.glob("refused*"))
    assert sum(each.stat().st_size for each in kept) <= BYTES // 16
    assert json.loads((tmp_path / "refused.jsonl").read_text().splitlines()[-1])["event"]["id"] == "39"


async def test_events_that_wait_behind_an_undecided_one_are_not_forgotten(tmp_path, sink, event):
    """The door took 0 and 2, not 1: after a crash at that moment, 1 is still there."""
    sink.verdicts["1"] = Unavailable("away")
    await fill(tmp_path, map(event, range(3)))
    async with spooling(tmp_path, sink=sink), asyncio.timeout(20):
        while not sink.calls:  # noqa: ASYNC110 - the sink has no event of its own
            await asyncio.sleep(0)
        while not (tmp_path / "drained").exists():  # noqa: ASYNC110
            await asyncio.sleep(0)
    sink.verdicts.clear()
    sink.calls.clear()
    assert await drained(tmp_path, sink) == ["1", "2"]
