"""What follows from a mail's fate."""

import msgspec
import pytest

from emailflow_api.plans import Branch, Case, Retry
from emailflow_runtime.core import outcomes as o
from emailflow_runtime.core.commands import KeepDeadLetter, SendMail
from emailflow_runtime.core.facts import (
    PROVIDER,
    Completed,
    Exited,
    Gate,
    MailAccepted,
    MailAttempted,
    MailDeferred,
    MailFailed,
    MailSkipped,
    MailUnknown,
)
from emailflow_runtime.core.inputs import AttemptPlanned, MailBroken, MailWithheld, OutcomeKnown
from emailflow_runtime.core.reactions.course import Course
from emailflow_runtime.core.reactions.mailing import Delivery

from .conftest import NOON, SECOND, MakeWorld, World, send

DAY = 86_400 * SECOND
GREYLISTED = o.Deferred(reason="Deferred", code=451, enhanced="4.7.1")


def plan(world: World) -> tuple[object, ...]:
    mail = world.journey.mail
    assert mail is not None
    return world.give(
        AttemptPlanned(at=NOON, mail=mail.id, provider="relay", start_by=NOON + 1, settled_by=NOON + 2)
    )


def conclude(world: World, outcome: o.Outcome, delivery: Delivery | None = None) -> tuple[object, ...]:
    mail = world.journey.mail
    assert mail is not None
    known = OutcomeKnown(at=NOON, mail=mail.id, attempt=mail.attempts, outcome=outcome)
    return world.give(known, delivery)


@pytest.fixture
def attempted(make_world: MakeWorld) -> World:
    world = make_world(send(then="tips"), send("tips"))
    world.event()
    plan(world)
    return world


def test_the_intent_is_a_fact_before_anything_is_handed_over(attempted: World) -> None:
    assert isinstance(attempted.facts[-1], MailAttempted)


def test_a_second_intent_for_the_same_attempt_is_refused(attempted: World) -> None:
    assert plan(attempted) == ()


@pytest.mark.parametrize(
    ("outcome", "recorded"),
    [
        (o.Accepted(reply="250 ok"), MailAccepted),
        (o.Refused(reason="Refused", code=550), MailFailed),
        (o.Unknown("ConnectionLost", ""), MailUnknown),
    ],
)
def test_an_outcome_is_recorded_although_what_follows_fails(
    attempted: World, monkeypatch: pytest.MonkeyPatch, outcome: o.Outcome, recorded: type
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Course, "proceed", broken)
    commands = conclude(attempted, outcome)
    assert [type(fact) for fact in attempted.facts[-2:]] == [recorded, Exited]
    assert attempted.journey.result == "Failed"
    letter = commands[-1]
    assert isinstance(letter, KeepDeadLetter)
    assert (letter.reason, letter.step) == ("PoisonInput", "")
    assert "a defect" not in letter.message


def test_a_branch_that_takes_too_many_iterations_follows_an_accepted_mail(make_world: MakeWorld) -> None:
    # Written as an author would: the library raises where its budget of 10,000 iterations ends.
    when = "event.data.l.exists(x, event.data.l.exists(y, y == -1))"
    branch = Branch(name="which", next="end", cases=(Case(when=when, then="tips"),))
    world = make_world(send(then="which"), branch, send("tips"))
    world.event(data=msgspec.json.encode({"l": [1] * 200}))
    plan(world)
    conclude(world, o.Accepted(reply="250 ok"))
    assert [type(fact) for fact in world.facts[-2:]] == [MailAccepted, Completed]


def test_an_accepted_mail_lets_the_journey_go_on(attempted: World) -> None:
    conclude(attempted, o.Accepted(reply="250 2.0.0 queued as 42"))
    assert any(isinstance(fact, MailAccepted) for fact in attempted.facts)
    assert attempted.journey.step == "tips"


def test_a_refused_mail_fails_with_its_code_and_the_journey_goes_on(attempted: World) -> None:
    conclude(attempted, o.Refused(reason="Refused", code=550, enhanced="5.1.1", reply="no such user"))
    failed = next(fact for fact in attempted.facts if isinstance(fact, MailFailed))
    assert (failed.code, failed.enhanced) == (550, "5.1.1")
    assert attempted.journey.step == "tips"


def test_a_deferred_mail_comes_back_by_timer_after_the_backoff(attempted: World) -> None:
    conclude(attempted, GREYLISTED)
    deferred = attempted.facts[-1]
    assert isinstance(deferred, MailDeferred)
    assert deferred.retry_at == NOON + 30 * SECOND
    assert attempted.fire(deferred.retry_at) != ()


def test_the_provider_says_when(attempted: World) -> None:
    conclude(attempted, o.Deferred(reason="Deferred", retry_after=120))
    assert attempted.journey.wake_at == NOON + 120 * SECOND


def test_attempts_are_bounded(make_world: MakeWorld) -> None:
    world = make_world()
    world.event()
    delivery = Delivery(retry=Retry(max_attempts=2))
    for _ in range(2):
        plan(world)
        conclude(world, GREYLISTED, delivery)
    failed = next(fact for fact in world.facts if isinstance(fact, MailFailed))
    assert failed.reason == "RetriesExhausted"


def test_a_provider_that_is_down_uses_up_no_attempts(make_world: MakeWorld) -> None:
    world = make_world()
    world.event()
    for _ in range(20):
        plan(world)
        conclude(world, o.Deferred(reason="ConnectFailed", systemic=True), Delivery())
    assert isinstance(world.facts[-1], MailDeferred)


def test_a_provider_that_stays_down_is_given_up_on(make_world: MakeWorld) -> None:
    world = make_world()
    world.event()
    plan(world)
    down = o.Deferred(reason="ConnectFailed", systemic=True, retry_after=3 * 86_400)
    conclude(world, down, Delivery())
    failed = next(fact for fact in world.facts if isinstance(fact, MailFailed))
    assert failed.reason == "GivenUp"


@pytest.mark.parametrize(
    "trouble",
    [o.Deferred(reason="ConnectFailed", systemic=True), o.Deferred(reason="Deferred", code=421)],
    ids=["no connection", "service closing"],
)
def test_what_the_provider_as_a_whole_refused_leaves_a_mail_all_its_attempts(
    make_world: MakeWorld, trouble: o.Deferred
) -> None:
    world = make_world()
    world.event()
    delivery = Delivery(retry=Retry(max_attempts=2))
    for answer in (trouble, GREYLISTED, trouble, trouble):
        plan(world)
        conclude(world, answer, delivery)
        assert isinstance(world.facts[-1], MailDeferred)
    plan(world)
    conclude(world, GREYLISTED, delivery)
    failed = next(fact for fact in world.facts if isinstance(fact, MailFailed))
    assert failed.reason == "RetriesExhausted"


def hold(world: World, gate: str, until: int) -> tuple[object, ...]:
    mail = world.journey.mail
    assert mail is not None
    gates = (Gate(gate, "Hold", "Later", until),)
    return world.give(MailWithheld(at=NOON, mail=mail.id, gates=gates), Delivery())


def test_a_mail_that_waits_too_long_for_its_provider_is_given_up_like_any_other(
    make_world: MakeWorld,
) -> None:
    world = make_world(send(then="tips"), send("tips"))
    world.event()
    hold(world, PROVIDER, NOON + DAY)
    assert isinstance(world.facts[-1], MailDeferred)
    commands = hold(world, PROVIDER, NOON + 3 * DAY)
    failed = next(fact for fact in world.facts if isinstance(fact, MailFailed))
    assert failed.reason == "GivenUp"
    assert not any(isinstance(command, KeepDeadLetter) for command in commands)
    assert world.journey.step == "tips"


def test_a_mail_that_waited_for_a_persons_time_has_its_whole_time_with_the_provider(
    make_world: MakeWorld,
) -> None:
    world = make_world()
    world.event()
    hold(world, "cap", NOON + 6 * DAY)
    assert isinstance(world.facts[-1], MailDeferred)
    world.fire(NOON + 6 * DAY)
    hold(world, PROVIDER, NOON + 7 * DAY)
    assert isinstance(world.facts[-1], MailDeferred)
    hold(world, PROVIDER, NOON + 9 * DAY)
    assert any(isinstance(fact, MailFailed) and fact.reason == "GivenUp" for fact in world.facts)


@pytest.mark.parametrize("policy", ["Hold", "AssumeSent"])
def test_an_unknown_outcome_is_recorded_and_never_resent(make_world: MakeWorld, policy: str) -> None:
    world = make_world()
    world.event()
    plan(world)
    commands = conclude(world, o.Unknown("ConnectionLost"), Delivery(on_unknown=policy))
    assert any(isinstance(fact, MailUnknown) for fact in world.facts)
    assert not any(isinstance(command, SendMail) for command in commands)
    assert isinstance(world.facts[-1], Completed)


def test_resend_is_what_was_declared_and_waits_for_the_backoff(make_world: MakeWorld) -> None:
    world = make_world()
    world.event()
    plan(world)
    conclude(world, o.Unknown("ConnectionLost"), Delivery(on_unknown="Resend"))
    assert isinstance(world.facts[-1], MailDeferred)
    (again,) = world.fire(world.journey.wake_at)
    assert isinstance(again, SendMail)


def test_a_withheld_mail_tells_the_gate_and_the_journey_goes_on(make_world: MakeWorld) -> None:
    world = make_world(send(then="tips"), send("tips"))
    world.event()
    mail = world.journey.mail
    assert mail is not None
    world.give(MailWithheld(at=NOON, mail=mail.id, gates=(Gate("skipIf", "Skip", "SkipIf"),)))
    skipped = next(fact for fact in world.facts if isinstance(fact, MailSkipped))
    assert skipped.reason == "SkipIf"
    assert world.journey.step == "tips"


def test_continue_if_ends_the_journey(make_world: MakeWorld) -> None:
    world = make_world(send(then="tips"), send("tips"))
    world.event()
    mail = world.journey.mail
    assert mail is not None
    gates = (Gate("continueIf", "End", "Discontinued"),)
    world.give(MailWithheld(at=NOON, mail=mail.id, gates=gates, discontinue=True))
    last = world.facts[-1]
    assert isinstance(last, Exited)
    assert last.result == "Discontinued"


def test_a_mail_that_cant_be_made_fails_and_its_event_is_kept(make_world: MakeWorld) -> None:
    world = make_world()
    world.event()
    mail = world.journey.mail
    assert mail is not None
    commands = world.give(
        MailBroken(at=NOON, mail=mail.id, reason="UndefinedVariable", message="`plan` is undefined")
    )
    assert any(isinstance(c, KeepDeadLetter) and c.reason == "UndefinedVariable" for c in commands)


def test_an_outcome_that_comes_twice_counts_once(attempted: World) -> None:
    conclude(attempted, GREYLISTED)
    assert conclude(attempted, o.Accepted(reply="late")) == ()


def test_a_mail_on_hold_comes_back_by_timer_with_its_reasons(make_world: MakeWorld) -> None:
    world = make_world(send())
    world.event()
    mail = world.journey.mail
    assert mail is not None
    gates = (Gate("exit", "Pass"), Gate("quietHours", "Hold", "QuietHours", NOON + 60 * SECOND))
    world.give(MailWithheld(at=NOON, mail=mail.id, gates=gates))
    held = world.facts[-1]
    assert isinstance(held, MailDeferred)
    assert (held.reason, held.retry_at, held.gates) == ("QuietHours", NOON + 60 * SECOND, gates)
    assert SendMail(world.journey.instance, mail.id) in world.fire(NOON + 60 * SECOND)
