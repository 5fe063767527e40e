"""Long stretches in one world: a month without an owner, and one person with very many events."""

import asyncio
import json
from collections import Counter

from tests.simulation import flows
from tests.simulation.loop import run
from tests.simulation.oracles import Story, problems
from tests.simulation.world import World

from emailflow_api.plans import Rate
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key

MONTH = 30 * 24 * 3600
PEOPLE = 150
EVENTS = 10_000


def entry(number, kind, address, **data):
    event = CloudEvent(
        id=f"e{number}",
        source="/shop",
        type=kind,
        datacontenttype="application/json",
        data=json.dumps({"email": address, **data}, separators=(",", ":")).encode(),
    )
    return LogEntry(event, contact_key("address", address), 0)


def append(world, *entries):
    for each in entries:
        world.broker.append(each)
        world.accepted.append(each.event)


async def quiet(world, seconds):
    """Let time pass with nothing but the owners in it."""
    for door in world.doors:
        door.close()
    await asyncio.sleep(seconds)


def played(course):
    """The world after this course of events in it."""
    made = []

    async def main(loop):
        world = World(loop, 0, faults=False)
        made.append(world)
        await world.prepare()
        world.start_owner()
        await quiet(world, 1)
        await course(world)
        return problems(world)

    found = run(main, 0)
    assert found == []
    return made[0]


def test_a_month_without_an_owner_is_made_up_for_once_and_without_what_is_too_late():
    async def course(world):
        people = [f"p{number}@example.com" for number in range(PEOPLE)]
        append(world, *(entry(f"cart-{each}", flows.CART, each, cart="c1", total=5) for each in people))
        append(world, *(entry(f"view-{each}", flows.VIEWED, each, plan="free") for each in people))
        await asyncio.sleep(2)
        world.owners[-1].kill()
        await asyncio.sleep(MONTH)
        world.start_owner()
        await asyncio.sleep(24 * 3600)

    world = played(course)
    story = Story(world)
    # The reminder of a cart says that it is worth nothing after a day; the other five mails say nothing.
    skipped = story.of_kind(f.MailSkipped)
    assert Counter(fact.reason for fact in skipped) == {"TooLate": PEOPLE}
    assert max(Counter(each.mail for each in world.office.taken).values()) == 1
    assert len(world.office.taken) == 5 * PEOPLE
    # No storm: as many at once as the providers are declared to take.
    assert world.office.most_at_once <= len(flows.plans().providers) * Rate().concurrency


def test_ten_thousand_events_of_one_person_over_a_take_over_end_as_in_a_serial_run():
    def carts(start, stop):
        return (
            entry(number, flows.CART, "ana@example.com", cart=f"c{number % 3}", total=1 + number % 2)
            for number in range(start, stop)
        )

    async def course(world):
        append(world, *carts(0, EVENTS // 2))
        await asyncio.sleep(0.05)
        assert Story(world).facts, "the first owner has begun"
        world.owners[-1].kill()
        world.start_owner()
        append(world, *carts(EVENTS // 2, EVENTS))
        # Some come again, as late as an enrolment remembers (the last 4,096 that counted).
        append(world, *carts(EVENTS - 2000, EVENTS - 1900))
        await asyncio.sleep(6 * 3600)

    world = played(course)
    entered = [each for each in Story(world).of_kind(f.Entered) if each.flow == "shop_cart"]
    assert len(entered) == EVENTS
