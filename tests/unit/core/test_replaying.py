"""Events that a flow reads again count at their own place: nobody twice, nobody who has left."""

import pytest

from emailflow_api.plans import Cel, Exit, Trigger, Wait
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import Entered, MailRequested
from emailflow_runtime.core.inputs import EventArrived

from .conftest import NOON, SECOND, SIGNED_UP, send

LEFT = "com.example.left"
CART = Trigger(types=(SIGNED_UP,), key="event.data.cart")
STEPS = (Wait(name="pause", next="welcome", duration="PT1H"), send("welcome"))
EXITS = (Exit(types=(LEFT,), result="Left"),)


def cart(name):
    return b'{"cart": "%s"}' % name.encode()


def again(world, event_id, sequence, kind=SIGNED_UP, data=b"{}", *, at=NOON, entering=True):
    """An event that stood at this sequence before."""
    event = CloudEvent(id=event_id, source="/accounts", type=kind, data=data)
    return world.give(EventArrived(at, event, sequence, replayed=True, entering=entering))


def entered(world):
    return [fact.event.id for fact in world.facts if isinstance(fact, Entered)]


def test_who_had_entered_does_not_enter_again(make_world):
    world = make_world(*STEPS)
    world.event(event_id="e1")

    assert again(world, "e1", 1) == ()


@pytest.mark.parametrize("reentry", ["AfterExit", "Restart", "Concurrent", "Once"])
def test_nobody_who_has_left_again_enters_again(make_world, reentry):
    world = make_world(*STEPS, exits=EXITS, flow={"reentry": reentry})
    world.event(event_id="e1")
    world.event(LEFT, event_id="e2")

    assert again(world, "e1", 1) == ()
    assert entered(world) == ["e1"]


def test_who_was_passed_by_enters_now_with_the_time_of_then(make_world):
    world = make_world(*STEPS)
    world.enrolment.considered = 500  # other events of this person have come since

    again(world, "e1", 3, at=NOON - 5 * SECOND)

    assert entered(world) == ["e1"]
    assert (world.journey.entered_at, world.journey.sequence) == (NOON - 5 * SECOND, 3)


def test_who_was_passed_by_and_has_left_since_leaves_again(make_world):
    world = make_world(send(), exits=EXITS)
    world.enrolment.considered = 500

    again(world, "e1", 3)
    again(world, "e2", 4, LEFT)

    assert world.journey.result == "Left"
    assert world.journey.mail.status == "Skipped"


def test_an_exit_from_before_somebody_entered_does_not_take_them_out(make_world):
    world = make_world(*STEPS, exits=EXITS)
    world.sequence = 9
    world.event(event_id="e10")

    again(world, "e5", 5, LEFT)

    assert world.journey.running


def test_after_the_stretch_events_take_out_but_let_nobody_in(make_world):
    world = make_world(*STEPS, exits=EXITS)
    again(world, "e1", 1)

    again(world, "e2", 2, entering=False)
    again(world, "e3", 3, LEFT, entering=False)
    again(world, "e4", 4, entering=False)

    assert entered(world) == ["e1"]
    assert world.journey.result == "Left"


def test_who_has_entered_since_is_left_alone(make_world):
    world = make_world(*STEPS, exits=EXITS)
    world.sequence = 9
    world.event(event_id="e10")
    world.event(LEFT, event_id="e11")

    again(world, "e5", 5)

    assert entered(world) == ["e10"]


def test_another_cart_of_the_same_person_enters(make_world):
    world = make_world(*STEPS, trigger=CART)
    world.sequence = 9
    world.event(event_id="e10", data=cart("new"))

    again(world, "e5", 5, data=cart("old"))

    assert entered(world) == ["e10", "e5"]


def test_an_exit_takes_out_everybody_whom_it_came_after(make_world):
    world = make_world(*STEPS, trigger=CART, exits=EXITS)
    world.sequence = 4
    world.event(event_id="e5", data=cart("one"))
    world.event(LEFT, event_id="e6")
    again(world, "e3", 3, data=cart("two"))

    again(world, "e6", 6, LEFT)

    assert [journey.running for journey in world.enrolment.journeys.values()] == [False, False]


def test_reading_it_twice_changes_nothing_the_second_time(make_world):
    world = make_world(*STEPS, trigger=CART, exits=EXITS)
    stretch = [("e1", 1, SIGNED_UP, cart("a")), ("e2", 2, SIGNED_UP, cart("b")), ("e3", 3, LEFT, b"{}")]
    for each in stretch:
        again(world, *each)
    facts = list(world.facts)

    for each in stretch:
        again(world, *each)

    assert world.facts == facts


def test_a_restart_that_happened_does_not_happen_again(make_world):
    world = make_world(send(), flow={"reentry": "Restart"})
    world.event(event_id="e1")
    world.event(event_id="e2")
    before = len(world.facts)

    again(world, "e1", 1)
    again(world, "e2", 2)

    assert len(world.facts) == before


def test_a_filter_that_let_somebody_through_too_late_is_asked_as_it_is_now(make_world):
    closed = Trigger(types=(SIGNED_UP,), filters=(Cel("event.data.open == true"),))
    world = make_world(send(), trigger=closed)
    world.event(event_id="e1", data=b'{"open": false}')
    program = world.setting.programs[world.setting.flow.revision].program
    world.revise(type(program)(trigger=Trigger((SIGNED_UP,)), steps=program.steps))

    again(world, "e1", 1, data=b'{"open": false}')

    assert [fact.path for fact in world.facts if isinstance(fact, MailRequested)] == [("welcome",)]
