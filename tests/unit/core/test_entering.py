"""Who enters a flow, how often, and what a repeat does."""

import pytest

from emailflow_api.plans import Cel, Exact, Trigger, Wait
from emailflow_runtime.core.commands import ArmTimer, IgnoreEvent, KeepDeadLetter, SendMail
from emailflow_runtime.core.facts import Entered, Exited, MailRequested

from .conftest import SIGNED_UP, MakeWorld, send

HOUR = Wait(name="settle", next="welcome", duration="PT1H")


def test_an_event_of_the_trigger_starts_a_journey_and_asks_for_its_first_mail(make_world: MakeWorld) -> None:
    world = make_world()
    commands = world.event()
    assert [type(fact) for fact in world.facts] == [Entered, MailRequested]
    assert isinstance(commands[-1], SendMail)
    assert world.journey.step == "welcome"


def test_an_event_of_another_type_starts_nothing(make_world: MakeWorld) -> None:
    assert make_world().event("com.example.other") == ()


def test_every_filter_has_to_hold(make_world: MakeWorld) -> None:
    filters = (Exact({"source": "/accounts"}), Cel("event.data.plan != 'internal'"))
    world = make_world(trigger=Trigger(types=(SIGNED_UP,), filters=filters))
    assert world.event(data=b'{"plan": "internal"}') == ()
    assert world.event(data=b'{"plan": "pro"}') != ()


def test_a_filter_on_a_field_that_is_not_there_does_not_match(make_world: MakeWorld) -> None:
    world = make_world(trigger=Trigger(types=(SIGNED_UP,), filters=(Cel("event.data.total > 5"),)))
    assert world.event(data=b"{}") == ()


def test_a_key_without_a_value_is_a_dead_letter(make_world: MakeWorld) -> None:
    world = make_world(trigger=Trigger(types=(SIGNED_UP,), key="event.data.user.id"))
    (command,) = world.event(data=b"{}")
    assert isinstance(command, KeepDeadLetter)
    assert command.reason == "MissingValue"


def test_each_key_has_a_journey_of_its_own(make_world: MakeWorld) -> None:
    world = make_world(HOUR, send(), trigger=Trigger(types=(SIGNED_UP,), key="event.data.cart"))
    world.event(data=b'{"cart": "a"}')
    world.event(data=b'{"cart": "b"}')
    world.event(data=b'{"cart": "a"}')
    assert sorted(journey.key for journey in world.enrolment.journeys.values()) == ["a", "b"]


def test_after_exit_lets_nobody_in_twice_at_a_time(make_world: MakeWorld) -> None:
    world = make_world(HOUR, send())
    world.event()
    (ignored,) = world.event()
    assert isinstance(ignored, IgnoreEvent)


def test_an_event_that_came_too_early_has_no_effect_when_it_is_repeated_later(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="w", next="end", duration="PT1H"))
    world.event(event_id="first")
    world.event(event_id="second")
    world.fire(world.journey.wake_at)
    assert not world.journey.running
    assert world.event(event_id="second") == ()


def test_once_lets_nobody_in_again(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="w", next="end", duration="PT1S"), flow={"reentry": "Once"})
    world.event()
    world.fire(world.journey.wake_at)
    assert not world.journey.running
    (ignored,) = world.event()
    assert isinstance(ignored, IgnoreEvent)


def test_restart_ends_the_running_journey_and_starts_a_new_one(make_world: MakeWorld) -> None:
    world = make_world(HOUR, send(), flow={"reentry": "Restart"})
    world.event()
    first = world.journey
    commands = world.event()
    exited = next(fact for fact in world.facts if isinstance(fact, Exited))
    assert (exited.journey, exited.result) == (first.id, "Restarted")
    assert world.journey.id != first.id
    assert any(isinstance(command, ArmTimer) for command in commands)


def test_concurrent_lets_each_event_in(make_world: MakeWorld) -> None:
    world = make_world(HOUR, send(), flow={"reentry": "Concurrent"})
    world.event()
    world.event()
    assert len(world.enrolment.journeys) == 2


@pytest.mark.parametrize("reentry", ["Once", "AfterExit", "Restart", "Concurrent"])
def test_a_repeat_by_source_and_id_changes_nothing(make_world: MakeWorld, reentry: str) -> None:
    world = make_world(HOUR, send(), flow={"reentry": reentry})
    world.event(event_id="same")
    before = dict(world.enrolment.journeys)
    assert world.event(event_id="same") == ()
    assert world.enrolment.journeys == before


def test_a_deleted_flow_lets_nobody_in(make_world: MakeWorld) -> None:
    assert make_world(flow={"deleted": True}).event() == ()
