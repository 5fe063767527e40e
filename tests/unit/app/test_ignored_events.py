"""Events that count and change nothing: a repeat of one changes nothing either, and many cost nothing."""

from emailflow_api import plans as p
from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.stores import PutRecord, PutSeen, belong_together
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.journey import Journey, Record
from emailflow_runtime.core.remembering import REMEMBERED_EVENTS

from .deciding import ANA, FLOW, HOUR, KEY, KIND, LEFT, Deciding, Owner

FLOOD = 10_000
BATCH = 256


async def remembered(owner: Owner) -> None:
    """What an acknowledgement waits for."""
    await owner.desk.remembered()


async def test_a_repeat_of_an_ignored_event_lets_nobody_in_after_a_take_over() -> None:
    around = Deciding(HOUR)
    async with around.owner() as owner:
        await owner.take(1)
        await owner.take(2)
        await remembered(owner)
    async with around.owner() as other:
        await other.take(3, LEFT)
        await other.take(2)
        await other.settled()
        assert [each.event.id for each in await other.journeys() if each.running] == []


async def test_nor_when_only_what_came_after_it_is_on_disk() -> None:
    around = Deciding(HOUR)
    async with around.owner() as owner:
        await owner.take(1)
        await owner.take(2)
        await owner.take(3, LEFT)
        # The owner dies before anything is acknowledged.
        await owner.desk.committed()
    async with around.owner() as other:
        for number, kind in ((1, KIND), (2, KIND), (3, LEFT)):
            await other.take(number, kind, sequence=number)
        await other.take(2)
        await other.settled()
        assert not [each for each in await other.journeys() if each.running]


def test_which_events_counted_is_stored_with_how_far_they_were_considered() -> None:
    event = CloudEvent(id="1", source="/s", type="t")
    place = {"flow": FLOW, "contact": ANA, "instance": "-", "revision": "r", "event": event}
    put = PutRecord(Record(Journey(id="j", at=1, sequence=1, **place)))
    assert belong_together([put, PutSeen(FLOW, ANA, (1,))])
    assert not belong_together([put, PutSeen("shop_other", ANA, (1,))])


async def test_nor_after_it_has_left_memory() -> None:
    around = Deciding(HOUR)
    async with around.owner() as owner:
        await owner.take(1)
        await owner.take(2)
        await owner.settled()
        entry = await owner.desk.entry(KEY)
        assert entry.idle
        owner.enrolments._entries.clear()
        await owner.take(3, LEFT)
        await owner.take(2)
        assert not [each for each in await owner.journeys() if each.running]


async def test_it_stays_in_memory_until_it_is_on_disk_that_it_counted() -> None:
    around = Deciding(HOUR)
    async with around.owner() as owner:
        await owner.take(1)
        await owner.settled()
        await owner.take(2)
        entry = await owner.desk.entry(KEY)
        assert not entry.idle
        await remembered(owner)
        assert entry.idle


async def test_a_flood_of_ignored_events_grows_nothing() -> None:
    around = Deciding(HOUR)
    async with around.owner() as owner:
        await owner.take(0)
        for number in range(1, FLOOD):
            await owner.take(number)
            if number % BATCH == 0:
                await remembered(owner)
        await owner.take(FLOOD, LEFT)
        await owner.settled()
        entry = await owner.desk.entry(KEY)
        assert len(entry.enrolment.seen) <= REMEMBERED_EVENTS
        commits = owner.store.commits
    seen = [each for commit in commits for each in commit if isinstance(each, PutSeen)]
    # One for each batch that is acknowledged, and no more.
    assert len(seen) <= FLOOD // BATCH + 2
    assert max(len(each.hashes) for each in seen) <= REMEMBERED_EVENTS
    records = [each.record for commit in commits for each in commit if isinstance(each, PutRecord)]
    assert max(len(fact.applied) for record in records for fact in record.facts) <= 2


async def test_events_that_are_remembered_count_beside_those_of_the_record() -> None:
    around = Deciding(p.End(name="fin"), reentry="Once")
    async with around.owner() as owner:
        for number in range(100):
            await owner.take(number)
        await owner.settled()
    async with around.owner() as other:
        assert isinstance(other.enrolments, Enrolments)
        for number in range(100):
            await other.take(number)
        await other.settled()
        assert not [
            change for commit in other.store.commits for change in commit if isinstance(change, PutSeen)
        ]
    assert len(around.broker.states[0].records_of(*KEY)) == 1
