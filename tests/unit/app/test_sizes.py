"""Sizes: whatever comes in whatever order, no message is larger than NATS takes, and nothing stops for it."""

import asyncio
from collections.abc import Iterator, Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from emailflow_api import plans as p
from emailflow_runtime.adapters.in_memory.event_log import InMemoryEventLog
from emailflow_runtime.app.enrolments import Entry
from emailflow_runtime.app.fitting import ENVELOPE, OPEN_BYTES
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import Entered
from emailflow_runtime.core.journey import Enrolment, Journey, Record, decode_record, encode_record

from .deciding import ANA, FLOW, HOUR, KEY, LEFT, Deciding, Owner

MIB = 1 << 20
"""nats-server's own default of `max_payload`."""
REENTRIES = ("Once", "AfterExit", "Restart", "Concurrent")


def largest(around: Deciding) -> int:
    """Of all records and facts."""
    facts = [len(each.content.event.data or b"") for each in around.broker.events.messages]
    return max([*around.stored, *facts], default=0)


def test_a_record_holds_the_event_that_it_entered_by_once() -> None:
    event = CloudEvent(id="1", source="/s", type="t", data=b"x" * 100_000)
    place = {"flow": FLOW, "contact": ANA, "instance": "-", "revision": "r", "event": event}
    journey = Journey(id="j", at=1, sequence=1, **place)
    record = Record(journey, (Entered(journey="j", number=1, at=1, **place),))

    encoded = encode_record(record)

    assert len(encoded) < 101_000
    assert decode_record(encoded) == record


def test_records_of_before_are_read() -> None:
    event = CloudEvent(id="1", source="/s", type="t", data=b"x")
    place = {"flow": FLOW, "contact": ANA, "instance": "-", "revision": "r", "event": event}
    journey = Journey(id="j", at=1, sequence=1, **place)
    record = Record(journey, (Entered(journey="j", number=1, at=1, **place),))

    # They hold the event in the fact, too.
    assert decode_record(msgspec.msgpack.encode(record)) == record


async def test_an_event_of_half_of_what_nats_takes_lets_somebody_in() -> None:
    around = Deciding(HOUR, largest=MIB)
    async with around.owner() as owner:
        await owner.take(1, data={"x": "y" * 550_000})
        await owner.settled()
        assert [each.running for each in await owner.journeys()] == [True]
    assert not around.broker.letters
    assert largest(around) < MIB


async def test_many_large_events_that_restart_one_journey_are_decided_on_as_facts_are_told() -> None:
    around = Deciding(HOUR, reentry="Restart", largest=MIB)
    async with around.owner() as owner:
        for number in range(260):
            await owner.take(number, data={"x": "y" * 40_000})
        await owner.settled()
        assert [each.event.id for each in await owner.journeys()] == ["259"]
    assert not around.broker.letters
    assert largest(around) < MIB


class Crowding(InMemoryEventLog):
    """Facts are out, and at that moment memory is needed for somebody else."""

    def __init__(self, around: Deciding, owner: Owner) -> None:
        super().__init__(around.broker)
        self._enrolments = owner.enrolments
        self._enrolments._most = 0

    async def append(self, entries: Sequence[LogEntry]) -> None:
        await super().append(entries)
        somebody = Entry(Enrolment(flow=FLOW, contact="b" * 32))
        asyncio.get_running_loop().call_soon(self._enrolments._evict, somebody)


async def test_whom_an_event_waits_for_stays_in_memory_until_it_is_decided_on() -> None:
    around = Deciding(HOUR, reentry="Restart", largest=MIB)
    async with around.owner() as owner:
        owner.relay._log = Crowding(around, owner)
        await owner.take(1, data={"x": "y" * 500_000})
        await owner.take(2, data={"x": "y" * 500_000})
        # What STATE had before that event would let the first journey be ended a second time.
        await owner.take(3)
        await owner.settled()
    told = [each.content.event for each in around.broker.events.messages]
    ends = [each.id for each in told if each.type.endswith("exited")]
    assert len(ends) == 2
    assert len(set(ends)) == 2


async def test_what_no_fact_could_tell_of_is_a_dead_letter_and_others_go_on() -> None:
    around = Deciding(HOUR, reentry="Concurrent", largest=MIB)
    async with around.owner() as owner:
        # As JSON each of these characters takes six bytes.
        await owner.take(1, data=b"\x01" * 400_000, media="text/plain")
        await owner.take(2)
        await owner.settled()
        assert [each.event.id for each in await owner.journeys()] == ["2"]
    assert [(each.reason, each.event.id) for each in around.broker.letters] == [("TooLarge", "1")]


async def test_what_is_refused_is_a_dead_letter_before_anything_later_is_on_disk() -> None:
    around = Deciding(HOUR, reentry="Concurrent", largest=MIB)
    async with around.owner() as owner:
        taking = asyncio.create_task(refused_and_next(owner))
        # Every letter waits for ever, and the owner dies.
        owner.desk._dead_letters.keep = lambda _: asyncio.Event().wait()  # type: ignore[assignment,method-assign]
        for _ in range(100):
            await asyncio.sleep(0)
        taking.cancel()
    async with around.owner() as other:
        await refused_and_next(other)
        await other.settled()
    assert [(each.reason, each.event.id) for each in around.broker.letters] == [("TooLarge", "1")]


async def refused_and_next(owner: Owner) -> None:
    await owner.take(1, data=b"\x01" * 400_000, media="text/plain", sequence=1)
    await owner.take(2, sequence=2)


async def test_an_event_ends_journeys_even_where_what_it_would_begin_is_too_large() -> None:
    around = Deciding(HOUR, reentry="Concurrent", largest=MIB)
    async with around.owner() as owner:
        await owner.take(1)
        await owner.take(2, LEFT, data=b"\x01" * 400_000, media="text/plain")
        await owner.settled()
        assert [each.running for each in await owner.journeys()] == [False]


async def test_there_is_an_end_to_what_one_contact_may_have_open() -> None:
    around = Deciding(HOUR, reentry="Concurrent")
    size = 1_000_000
    async with around.owner() as owner:
        for number in range(40):
            await owner.take(number, data={"x": "y" * size})
        await owner.settled()
        assert len(await owner.journeys()) == OPEN_BYTES // size
        await owner.take(50, LEFT)
        await owner.take(51)
        await owner.settled()
        assert sum(each.running for each in await owner.journeys()) == 1
    assert {each.reason for each in around.broker.letters} == {"TooManyJourneys"}


steps = st.lists(
    st.tuples(
        st.sampled_from(["enter", "enter", "enter", "leave", "next owner", "settle"]),
        st.integers(0, 5),
        st.integers(0, 900_000),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=25)
@given(steps, st.sampled_from(REENTRIES))
def test_whatever_comes_no_message_is_larger_than_nats_takes(
    history: list[tuple[str, int, int]], reentry: str
) -> None:
    async def play() -> None:
        around = Deciding(HOUR, reentry=reentry, largest=MIB, key="string(event.data.k)")
        left = iter(enumerate(history))
        more = True
        while more:
            async with around.owner() as owner:
                more = await an_owner_takes(owner, left)
                await owner.settled()
        assert largest(around) <= MIB
        assert not around.broker.letters
        told = {each.content.event.id for each in around.broker.events.messages}
        for put in around.broker.states[0].records_of(*KEY):
            journey = put.record.journey
            assert journey.facts == sum(each.startswith(journey.id) for each in told)

    asyncio.run(play())


async def an_owner_takes(owner: Owner, left: Iterator[tuple[int, tuple[str, int, int]]]) -> bool:
    """Take from the history until the next owner's turn; whether there is one."""
    for number, (kind, key, size) in left:
        data = {"k": key, "x": "y" * size}
        match kind:
            case "enter":
                await owner.take(number, data=data)
            case "leave":
                await owner.take(number, LEFT, data=data)
            case "settle":
                await owner.settled()
            case _:
                return True
    return False


def test_the_margin_is_what_headers_may_take() -> None:
    assert ENVELOPE == 65_536
    assert p.RuntimePlan(namespace="a", name="b").max_body_bytes + ENVELOPE < 8 * MIB
