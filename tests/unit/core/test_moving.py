"""How a journey goes through its steps: waits, branches, ends, exits, loops, revisions."""

from typing import Any

import pytest

from emailflow_api.plans import Branch, Case, Cel, End, Exit, Program, Trigger, Until, Wait
from emailflow_runtime.core.commands import ArmTimer, Command, KeepDeadLetter, SendMail
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.facts import Advanced, Completed, Exited, Gate, MailSkipped
from emailflow_runtime.core.inputs import MailWithheld, TimerFired

from .conftest import NOON, SECOND, SIGNED_UP, MakeWorld, send

HOUR = 3600 * SECOND
DELETED = "com.example.user.deleted"


def test_a_wait_arms_a_timer_for_its_end(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="welcome", duration="PT1H"), send())
    commands = world.event()
    (armed,) = [command for command in commands if isinstance(command, ArmTimer)]
    assert armed == ArmTimer(world.journey.instance, NOON + HOUR)
    assert world.journey.timer == 1


def test_when_the_timer_fires_the_journey_goes_on(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="welcome", duration="PT1H"), send())
    world.event()
    commands = world.fire(NOON + HOUR)
    assert world.journey.step == "welcome"
    assert any(isinstance(command, SendMail) for command in commands)


def test_a_mail_was_due_when_its_wait_ended_however_late_the_timer_is(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="welcome", duration="PT1H"), send())
    world.event()
    world.fire(NOON + 100 * HOUR)
    mail = world.journey.mail
    assert mail is not None
    assert (mail.due, mail.asked) == (NOON + HOUR, NOON + 100 * HOUR)


def test_a_timer_that_fires_early_is_armed_again_under_a_new_number(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="welcome", duration="PT1H"), send())
    world.event()
    commands = world.fire(NOON + HOUR - SECOND)
    (armed,) = [command for command in commands if isinstance(command, ArmTimer)]
    assert (armed.at, world.journey.timer) == (NOON + HOUR, 2)
    assert world.journey.step == "settle"


def test_an_old_timer_moves_nothing(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="welcome", duration="PT1H"), send())
    world.event()
    assert world.give(TimerFired(at=NOON + HOUR, journey=world.journey.id, number=7)) == ()
    assert world.give(TimerFired(at=NOON + HOUR, journey="another", number=1)) == ()


def test_a_wait_until_a_time_of_day_is_in_the_contacts_zone(make_world: MakeWorld) -> None:
    until = Until(time="10:00", timezone="contact")
    tokyo = Contact("ab" * 16, timezone="Asia/Tokyo")
    world = make_world(Wait(name="settle", next="welcome", until=until), send(), contact=tokyo)
    world.event()
    # 12:00 UTC is 21:00 in Tokyo, so ten o'clock is 13 hours away.
    assert world.journey.wake_at == NOON + 13 * HOUR


def test_a_zone_that_does_not_exist_gives_way_to_the_runtimes(make_world: MakeWorld) -> None:
    until = Until(time="10:00", timezone="contact")
    lost = Contact("ab" * 16, timezone="Atlantis/Capital")
    world = make_world(Wait(name="settle", next="welcome", until=until), send(), contact=lost)
    world.event()
    assert world.journey.wake_at == NOON + 22 * HOUR


@pytest.mark.parametrize(("plan", "step"), [("pro", "tips-pro"), ("free", "tips-free")])
def test_a_branch_takes_the_first_case_that_holds(make_world: MakeWorld, plan: str, step: str) -> None:
    branch = Branch(name="plan", next="tips-free", cases=(Case("contact.traits.plan == 'pro'", "tips-pro"),))
    contact = Contact("ab" * 16, email="ana@example.com", traits={"plan": plan})
    world = make_world(branch, send("tips-pro"), send("tips-free"), contact=contact)
    world.event()
    assert world.journey.step == step


def test_a_case_that_has_no_value_is_not_taken(make_world: MakeWorld) -> None:
    branch = Branch(name="plan", next="free", cases=(Case("contact.traits.plan == 'pro'", "pro"),))
    world = make_world(branch, send("pro"), send("free"))
    world.event()
    assert world.journey.step == "free"


def test_an_end_step_gives_the_journey_its_result(make_world: MakeWorld) -> None:
    world = make_world(End(name="fin", result="Internal"))
    world.event()
    assert isinstance(world.facts[-1], Completed)
    assert (world.journey.running, world.journey.result) == (False, "Internal")


def test_an_exit_ends_a_wait_at_once_and_its_timer_finds_nothing(make_world: MakeWorld) -> None:
    world = make_world(
        Wait(name="settle", next="welcome", duration="P30D"),
        send(),
        exits=(Exit(types=(DELETED,), result="Left"),),
    )
    world.event()
    world.event(DELETED)
    assert (world.journey.running, world.journey.result) == (False, "Left")
    late = TimerFired(at=NOON + 31 * 24 * HOUR, journey=world.journey.id, number=1)
    assert world.give(late) == ()


def test_an_exit_filter_compares_with_the_entering_event(make_world: MakeWorld) -> None:
    world = make_world(
        Wait(name="settle", next="welcome", duration="P30D"),
        send(),
        trigger=Trigger(types=(SIGNED_UP,), key="event.data.cart"),
        exits=(Exit(types=(DELETED,), filters=(Cel("event.data.cart == trigger.data.cart"),)),),
    )
    world.event(data=b'{"cart": "a"}')
    world.event(data=b'{"cart": "b"}')
    world.event(DELETED, data=b'{"cart": "b"}')
    assert {j.key: j.running for j in world.enrolment.journeys.values()} == {"a": True, "b": False}


def test_an_exit_before_the_mail_is_handed_over_explains_the_mail(make_world: MakeWorld) -> None:
    world = make_world(send(), exits=(Exit(types=(DELETED,), result="Left"),))
    world.event()
    world.event(DELETED)
    assert [type(fact) for fact in world.facts[-2:]] == [MailSkipped, Exited]


@pytest.mark.parametrize(
    "wait", [{"duration": "P1D"}, {"until": Until(time="10:00")}], ids=["for a day", "until the next morning"]
)
def test_a_loop_on_which_something_waits_goes_on_for_years(
    make_world: MakeWorld, wait: dict[str, Any]
) -> None:
    world = make_world(
        Wait(name="pause", next="fork", **wait),
        Branch(name="fork", next="pause", cases=(Case("false", "end"),)),
    )
    world.event()
    days = 1000
    for _ in range(days):
        before = world.journey.wake_at
        world.fire(before)
        assert world.journey.wake_at > before
    assert world.journey.running
    assert world.journey.passes["pause"] == days + 1


def test_a_mail_a_day_is_each_days_own(make_world: MakeWorld) -> None:
    world = make_world(send(then="pause"), Wait(name="pause", next="welcome", duration="P1D"))
    world.event()
    mails = set()
    for _ in range(300):
        mail = world.journey.mail
        assert mail is not None
        mails.add(mail.id)
        world.give(MailWithheld(at=world.journey.at, mail=mail.id, gates=(Gate("skipIf", "Skip", "SkipIf"),)))
        world.fire(world.journey.wake_at)
    assert len(mails) == 300
    assert world.journey.running


def test_a_loop_without_a_wait_ends_before_it_has_sent_much(make_world: MakeWorld) -> None:
    """Of a revision from before compile refused it."""
    world = make_world(send(then="welcome"))
    world.event()
    commands: tuple[Command, ...] = ()
    while world.journey.running:
        mail = world.journey.mail
        assert mail is not None
        withheld = MailWithheld(at=NOON, mail=mail.id, gates=(Gate("skipIf", "Skip", "SkipIf"),))
        commands = world.give(withheld)
    assert world.journey.passes["welcome"] == 100
    last = world.facts[-1]
    assert isinstance(last, Exited)
    assert (last.result, last.reason) == ("Failed", "TooManyPasses")
    assert isinstance(commands[-1], KeepDeadLetter)
    assert commands[-1].reason == "TooManyPasses"


def test_a_loop_of_branches_ends_at_once(make_world: MakeWorld) -> None:
    world = make_world(Branch(name="fork", next="fork", cases=(Case("false", "end"),)))
    world.event()
    assert not world.journey.running
    assert isinstance(world.facts[-1], Exited)


def test_a_running_journey_stays_on_its_revision(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="old", duration="PT1H"), send("old"))
    world.event()
    world.revise(Program(trigger=Trigger(types=(SIGNED_UP,)), steps=(send("new"),)))
    world.fire(NOON + HOUR)
    assert world.journey.step == "old"


def test_journey_time_never_goes_back(make_world: MakeWorld) -> None:
    world = make_world(Wait(name="settle", next="end", duration="P30D"), exits=(Exit(types=(DELETED,)),))
    world.event(at=NOON)
    world.event(DELETED, at=NOON - HOUR)
    assert world.journey.at == NOON
    assert all(isinstance(fact, object) and fact.at >= NOON for fact in world.facts)
    assert isinstance(world.facts[1], Advanced)
