"""EVENTS on a real server: what only a stream with a bound can tell. The rest is in tests/contract."""

from emailflow_runtime.adapters.jetstream.event_log import JetStreamEventLog
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent


async def test_the_log_tells_how_full_it_is(connection, names):
    log = JetStreamEventLog(connection, names)
    events = [CloudEvent(id=str(number), source="/s", type="com.example.tick") for number in range(100)]
    await log.append([LogEntry(event, "c1", 0) for event in events])

    assert 0 < await log.fill() < 0.01
