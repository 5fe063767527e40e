"""Take-over: what is read again is read by the hundred, and in the order in which it was written."""

from collections.abc import Iterable

from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.shard_state import ShardState
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.recovery import AT_ONCE, Recovery
from emailflow_runtime.app.stores import EnrolmentKey, PutRecord, RecordHead
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import Completed
from emailflow_runtime.core.journey import Enrolment, Journey, Mail, Record

NOW = 1_800_000_000_000_000_000
RECORDS = AT_ONCE + 100
EVENT = CloudEvent(id="1", source="/shop", type="com.example.cart.updated")


class Store(InMemoryStateStore):
    """Counts how often it is asked."""

    asked = 0

    async def enrolments(self, keys: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        self.asked += 1
        return await super().enrolments(keys)

    async def records(self, keys: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, list[Record]]:
        self.asked += 1
        return await super().records(keys)


class Desk:
    """What recovery uses of the desk."""

    def __init__(self, store: Store) -> None:
        self.enrolments = Enrolments(store)
        self.recall, self.entry = self.enrolments.load, self.enrolments.fetch
        self.adopted: list[tuple[str, int]] = []

    async def room(self) -> None:
        pass

    async def adopt(self, record: Record, sequence: int) -> None:
        self.adopted.append((record.journey.contact, sequence))


def record(number: int) -> Record:
    journey = Journey(
        id=f"j{number}",
        flow="shop_cart",
        contact=f"c{number}",
        instance="-",
        revision="r1",
        event=EVENT,
        at=1,
        sequence=1,
        wake_at=1,
        timer=1,
        mail=Mail(id=f"m{number}", step="remind", turn=1, template="shop/reminder", due=1),
    )
    return Record(journey, (Completed(journey=journey.id, number=2, at=1, result="Completed"),))


async def left_behind(clock: LoopClock) -> Store:
    """A store as an owner left it that wrote records in the opposite order of their names."""
    store = Store(ShardState(clock))
    await store.claim()
    await store.commit([PutRecord(record(number)) for number in reversed(range(RECORDS))])
    return store


async def test_facts_are_told_again_in_the_order_of_their_commits() -> None:
    clock = LoopClock(NOW)
    store = await left_behind(clock)
    desk = Desk(store)
    recovery = Recovery(store, desk, clock)  # type: ignore[arg-type] # the rest of the desk is not its

    await recovery.relay_again((await recovery.scan(0, lambda _: None)).unrelayed)

    sequences = [sequence for _, sequence in desk.adopted]
    assert sequences == sorted(sequences)
    assert [contact for contact, _ in desk.adopted] == [f"c{n}" for n in reversed(range(RECORDS))]
    assert store.asked == 4


async def test_mails_are_taken_up_by_the_hundred() -> None:
    clock = LoopClock(NOW)
    store = await left_behind(clock)
    recovery = Recovery(store, Desk(store), clock)  # type: ignore[arg-type] # as above

    told: list[RecordHead] = []
    found = await recovery.scan(0, told.append)
    mails = [command.mail async for _, command in recovery.unsent(found.requested)]

    assert mails == [f"m{number}" for number in reversed(range(RECORDS))]
    assert len(told) == RECORDS
    assert store.asked == 2
