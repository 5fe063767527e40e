"""Waiting journeys written straight into STATE as the engine leaves them: contact and record."""

import asyncio

from emailflow_runtime.adapters.jetstream.connection import Credentials, connect
from emailflow_runtime.adapters.jetstream.state_store import JetStreamStateStore
from emailflow_runtime.app.stores import Change, PutContact, PutRecord, PutRelayPosition
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.identity import contact_key, journey_id
from emailflow_runtime.core.journey import Journey, Record
from harness.rig import TYPE, Rig

AT_ONCE = 300
SECOND = 1_000_000_000


def waiting(running: Rig, number: int, now: int, wake_at: int) -> list[Change]:
    """The changes that leave one journey waiting."""
    flow = next(iter(running.plans.flows.values()))
    address = f"u{number}@example.com"
    contact = contact_key("address", address)
    data = b'{"email":"%b","total":10,"cart_id":"c%d","note":"%b"}' % (address.encode(), number, b"x" * 400)
    event = CloudEvent(
        id=f"seed-{number}", source="/bench", type=TYPE, datacontenttype="application/json", data=data
    )
    journey = Journey(
        id=journey_id(flow.id, contact, "-", event),
        flow=flow.id,
        contact=contact,
        instance="-",
        revision=flow.revision,
        event=event,
        at=now,
        sequence=0,
        entered_at=now,
        step="wait",
        passes={"wait": 1},
        wake_at=wake_at,
        timer=1,
        timers=1,
        facts=2,
    )
    return [PutRecord(Record(journey)), PutContact(Contact(contact, email=address, name="Customer"))]


async def seed(running: Rig, count: int, now: int, wake_at: int) -> float:
    """Write so many; the seconds that it took."""
    connection = await connect(Credentials(running.server.url), "bench seeding")
    store = JetStreamStateStore(connection, running.names, 0)
    await store.claim()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        await store.commit([change for each in numbers for change in waiting(running, each, now, wake_at)])
    # As if all that led there had been told long ago.
    await store.commit([PutRelayPosition(await store.commit([PutRelayPosition(0)]))])
    took = loop.time() - begun
    await connection.close()
    return took
