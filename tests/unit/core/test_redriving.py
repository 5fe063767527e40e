"""A dead letter's event comes again for one flow: it counts once, and no mail goes out twice."""

from msgspec.structs import replace

from emailflow_api.plans import Exit, Trigger
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.commands import KeepDeadLetter, SendMail
from emailflow_runtime.core.evolve import fold
from emailflow_runtime.core.facts import Completed, MailRequested
from emailflow_runtime.core.inputs import AttemptPlanned, EventArrived, MailBroken, OutcomeKnown
from emailflow_runtime.core.outcomes import Accepted
from emailflow_runtime.core.redrive import Redrive

from .conftest import NOON, SECOND, SIGNED_UP, send

STEPS = (send("welcome", "tips"), send("tips", "bye"), send("bye"))
SIGN_UP = CloudEvent(id="e1", source="/accounts", type=SIGNED_UP, data=b"{}")


def accept(world):
    """The mail at hand goes out."""
    mail = world.journey.mail
    world.give(AttemptPlanned(at=NOON, mail=mail.id, provider="ses", start_by=NOON, settled_by=NOON))
    journey = next(j for j in world.enrolment.journeys.values() if j.mail and j.mail.id == mail.id)
    return world.give(
        OutcomeKnown(at=NOON, mail=mail.id, attempt=journey.mail.attempts, outcome=Accepted(reply="250"))
    )


def break_mail(world):
    """The mail at hand can't be made; the dead letter."""
    commands = world.give(MailBroken(at=NOON, mail=world.journey.mail.id, reason="RenderFailed", message="?"))
    return next(command for command in commands if isinstance(command, KeepDeadLetter))


def redriven(world, *, step="", letter="7.1", at=NOON + SECOND, event=SIGN_UP):
    world.sequence += 1
    redrive = Redrive(flow=world.enrolment.flow, letter=letter, step=step, known=True)
    return world.give(EventArrived(at=at, event=event, sequence=world.sequence, redrive=redrive))


def requested(world):
    return [fact.path[-1] for fact in world.facts if isinstance(fact, MailRequested)]


def with_a_broken_mail(make_world):
    world = make_world(*STEPS)
    world.event(event_id="e1")
    accept(world)
    letter = break_mail(world)
    accept(world)
    return world, letter


def test_the_letter_of_a_mail_names_its_step(make_world):
    _, letter = with_a_broken_mail(make_world)

    assert letter.step == "tips"


def test_only_the_mail_that_failed_is_made_again(make_world):
    world, letter = with_a_broken_mail(make_world)

    commands = redriven(world, step=letter.step)

    assert [type(each) for each in commands if isinstance(each, SendMail)] == [SendMail]
    assert requested(world) == ["welcome", "tips", "bye", "tips"]
    accept(world)
    last = world.facts[-1]
    assert isinstance(last, Completed)
    assert last.result == "Redone"
    assert requested(world) == ["welcome", "tips", "bye", "tips"]


def test_a_second_redrive_of_a_letter_changes_nothing(make_world):
    world, letter = with_a_broken_mail(make_world)
    redriven(world, step=letter.step)

    assert redriven(world, step=letter.step) == ()
    accept(world)
    assert redriven(world, step=letter.step) == ()


def test_another_letter_about_the_same_event_counts_by_itself(make_world):
    world, letter = with_a_broken_mail(make_world)
    redriven(world, step=letter.step)
    break_mail(world)

    redriven(world, step=letter.step, letter="9.5")

    assert requested(world)[-2:] == ["tips", "tips"]


def test_a_mail_made_again_that_fails_is_a_letter_of_the_same_step(make_world):
    world, letter = with_a_broken_mail(make_world)
    redriven(world, step=letter.step)

    assert break_mail(world).step == "tips"


def test_a_step_that_is_gone_leaves_the_letter_as_it_was(make_world):
    world = make_world(*STEPS)

    (kept,) = redriven(world, step="gone")

    assert kept == KeepDeadLetter("StepGone", "there is no step gone any more", step="gone")


def test_an_exit_also_ends_a_mail_that_is_made_again(make_world):
    world = make_world(*STEPS, exits=(Exit(types=("com.example.left",), result="Left"),))
    world.event(event_id="e1")
    accept(world)
    letter = break_mail(world)
    accept(world)
    redriven(world, step=letter.step)

    world.event("com.example.left", event_id="e2")

    assert not world.journey.running
    assert world.journey.mail.status == "Skipped"


def test_an_event_that_never_counted_enters_like_a_new_one(make_world):
    world = make_world(*STEPS)

    redriven(world)

    assert requested(world) == ["welcome"]
    assert redriven(world) == ()
    assert world.event(event_id="e1") == ()


def test_an_event_that_has_entered_does_not_enter_again(make_world):
    world = make_world(*STEPS, flow={"reentry": "Concurrent"})
    world.event(event_id="e1")

    redriven(world)

    assert requested(world) == ["welcome"]


def test_an_event_whose_key_had_no_value_enters_when_it_has_one(make_world):
    world = make_world(trigger=Trigger(types=(SIGNED_UP,), key="event.data.cart"))
    (kept,) = world.event(event_id="e1")
    assert isinstance(kept, KeepDeadLetter)
    world.revise(
        replace(world.setting.programs[world.setting.flow.revision].program, trigger=Trigger((SIGNED_UP,)))
    )

    redriven(world)

    assert requested(world) == ["welcome"]


def test_a_journey_of_a_redrive_is_the_fold_of_its_facts(make_world):
    world, letter = with_a_broken_mail(make_world)
    redriven(world, step=letter.step)
    accept(world)

    journey = world.journey

    assert fold(fact for fact in world.facts if fact.journey == journey.id) == journey
