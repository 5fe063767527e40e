"""What is read from a stream is read whole, however large it is: nats-server ends an answer at 64 MB."""

from emailflow_runtime.adapters.jetstream.connection import PAGE_BYTES
from emailflow_runtime.adapters.jetstream.dead_letter_reader import DeadLetterReader
from emailflow_runtime.adapters.jetstream.dead_letter_stream import DeadLetterStream
from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.adapters.jetstream.history import EventHistory
from emailflow_runtime.app.stores import DeadLetter, LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent

COUNT = 80
FEW = 20
"""Large dead letters that the stream has room for."""
LARGE = b"x" * 1_000_000


def event(number):
    return CloudEvent(id=str(number), source="/shop", type="com.example.seen", data=LARGE)


async def test_a_stretch_of_large_events_is_read_whole_some_at_a_time(connection, names):
    log = JetStreamEventLog(connection, names)
    for number in range(COUNT):
        await log.append([LogEntry(event(number), "c1", 0)])

    pages = [page async for page in EventHistory(connection, names).pages(0, 1, COUNT)]

    assert [each.event.id for page in pages for each in page] == [str(each) for each in range(COUNT)]
    assert max(sum(len(each.event.data) for each in page) for page in pages) <= PAGE_BYTES + len(LARGE)


async def test_large_dead_letters_are_read_whole(connection, names):
    letters = DeadLetterStream(connection, names)
    for number in range(FEW):
        await letters.keep(DeadLetter("PoisonInput", "", "shop_cart", event(number)))

    found = [each async for each in DeadLetterReader(connection, names).letters()]

    assert [each.event.id for each in found] == [str(each) for each in range(FEW)]
