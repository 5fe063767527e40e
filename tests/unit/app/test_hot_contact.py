"""One contact with very many journeys: what is stored together, kept in memory, and found again."""

from emailflow_api import plans as p
from emailflow_runtime.app.stores import PutRecord
from emailflow_runtime.core.remembering import ENDED

from .deciding import HOUR, KEY, LEFT, Deciding

AT_ONCE = 1000
"""Messages that JetStream takes in one batch."""


async def test_an_event_that_ends_more_journeys_than_one_commit_holds_ends_all() -> None:
    around = Deciding(HOUR, reentry="Concurrent")
    async with around.owner() as owner:
        for number in range(1_100):
            await owner.take(number)
        await owner.settled()
        await owner.take(5_000, LEFT)
        await owner.settled()
        assert max(len(commit) for commit in owner.store.commits) <= AT_ONCE
    async with around.owner() as after:
        records = [put.record for put in around.broker.states[0].records_of(*KEY)]
        assert {record.journey.running for record in records} == {False}
        assert not [each for each in await after.journeys() if each.running]


async def test_what_was_ended_in_part_is_ended_whole_when_the_event_comes_again() -> None:
    around = Deciding(HOUR, reentry="Concurrent")
    async with around.owner() as owner:
        for number in range(1_100):
            await owner.take(number)
        await owner.settled()
        owner.store.commits.clear()
        before = dict(around.broker.states[0]._kept)
        await owner.take(5_000, LEFT, sequence=2_000)
        await owner.settled()
        first = next(commit for commit in owner.store.commits if len(commit) > 1)
    # As if the owner had died after the first commit.
    around.broker.states[0]._kept = before
    async with around.owner() as other:
        await other.store.commit(first)
        ended = [each for each in first if isinstance(each, PutRecord)]
        assert 0 < len(ended) < 1_100
        await other.take(5_000, LEFT, sequence=2_000)
        assert not [each for each in await other.journeys() if each.running]


async def test_ended_journeys_leave_memory_and_their_events_count_no_second_time() -> None:
    around = Deciding(p.End(name="fin"), reentry="Concurrent")
    async with around.owner() as owner:
        for number in range(10 * ENDED):
            await owner.take(number)
        await owner.settled()
        entry = await owner.desk.entry(KEY)
        assert len(entry.enrolment.journeys) == ENDED
        assert not entry.unpublished
        for number in range(10 * ENDED):
            await owner.take(number)
        await owner.settled()
    async with around.owner() as other:
        for number in range(10 * ENDED):
            await other.take(number)
        await other.settled()
    assert len(around.broker.states[0].records_of(*KEY)) == 10 * ENDED


async def test_once_is_once_for_each_key_however_many_keys_there_are() -> None:
    around = Deciding(p.End(name="fin"), reentry="Once", key="string(event.data.n)")
    async with around.owner() as owner:
        for number in range(3 * ENDED):
            await owner.take(number)
        await owner.settled()
        for number in range(3 * ENDED):
            await owner.take(10_000 + number, data={"n": number})
        await owner.settled()
    async with around.owner() as other:
        for number in range(3 * ENDED):
            await other.take(20_000 + number, data={"n": number})
        await other.settled()
    journeys = [put.record.journey for put in around.broker.states[0].records_of(*KEY)]
    assert sorted(int(each.event.id) for each in journeys) == list(range(3 * ENDED))
