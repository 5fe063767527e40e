"""A journey that can't be moved on ends, and the event that it entered by is kept."""

from emailflow_runtime.core.commands import KeepDeadLetter
from emailflow_runtime.core.facts import Exited, MailSkipped, MailUnknown
from emailflow_runtime.core.inputs import AttemptPlanned, JourneyBroken, OutcomeKnown
from emailflow_runtime.core.outcomes import Unknown

from .conftest import NOON, MakeWorld, World, send


def breaking(world: World) -> JourneyBroken:
    return JourneyBroken(at=NOON, journey=world.journey.id, reason="PoisonInput", message="it ends")


def test_it_ends_as_failed_without_its_mail_and_its_event_is_a_dead_letter(make_world: MakeWorld) -> None:
    world = make_world(send(then="tips"), send("tips"))
    world.event()
    commands = world.give(breaking(world))
    skipped, left = world.facts[-2:]
    assert isinstance(skipped, MailSkipped)
    assert isinstance(left, Exited)
    assert (left.result, left.reason) == ("Failed", "PoisonInput")
    assert world.journey.finished
    assert commands[-1] == KeepDeadLetter("PoisonInput", "it ends", world.journey.instance)


def test_a_mail_that_is_at_its_provider_only_gets_its_outcome(make_world: MakeWorld) -> None:
    world = make_world(send(then="tips"), send("tips"))
    world.event()
    mail = world.journey.mail
    assert mail is not None
    world.give(AttemptPlanned(at=NOON, mail=mail.id, provider="relay", start_by=NOON, settled_by=NOON))
    world.give(breaking(world))
    world.give(OutcomeKnown(at=NOON, mail=mail.id, attempt=1, outcome=Unknown("OwnerLost")))
    assert isinstance(world.facts[-1], MailUnknown)
    assert world.journey.finished


def test_one_that_has_ended_stays_as_it_is(make_world: MakeWorld) -> None:
    world = make_world(send())
    world.event()
    world.give(breaking(world))
    assert world.give(breaking(world)) == ()
