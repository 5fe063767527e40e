"""`react`: one entry for every kind of input. Total and deterministic; it changes nothing by itself."""

from typing import assert_never

from emailflow_runtime.core.commands import Command, KeepDeadLetter, SendMail
from emailflow_runtime.core.inputs import (
    AttemptPlanned,
    EventArrived,
    FlowGone,
    Input,
    JourneyBroken,
    MailBroken,
    MailWithheld,
    OutcomeKnown,
    TimerFired,
)
from emailflow_runtime.core.journey import Enrolment, Journey
from emailflow_runtime.core.reactions.arriving import on_event
from emailflow_runtime.core.reactions.course import Course, Setting
from emailflow_runtime.core.reactions.mailing import (
    Delivery,
    on_attempt,
    on_broken,
    on_outcome,
    on_withheld,
)

_NO_DELIVERY = Delivery()


def react(
    setting: Setting, enrolment: Enrolment, arrived: Input, delivery: Delivery = _NO_DELIVERY
) -> tuple[Command, ...]:
    """What follows from the input for this contact in this flow, in order.

    An input that is about nothing that is there (an old timer, the outcome of a mail that is settled) gives
    no commands. `delivery` is what the provider of the mail at hand declares.
    """
    match arrived:
        case EventArrived():
            return on_event(setting, enrolment, arrived)
        case TimerFired():
            return _on_timer(setting, enrolment, arrived)
        case JourneyBroken():
            return _on_broken_journey(setting, enrolment, arrived)
        case FlowGone():
            return _on_flow_gone(setting, enrolment, arrived)
        case AttemptPlanned() | MailWithheld() | MailBroken() | OutcomeKnown():
            return _on_mail(setting, enrolment, arrived, delivery)
        case _:
            assert_never(arrived)


def _on_timer(setting: Setting, enrolment: Enrolment, fired: TimerFired) -> tuple[Command, ...]:
    journey = _running(enrolment, fired.journey)
    if journey is None or journey.timer != fired.number:
        return ()
    course = Course(setting, enrolment, journey.instance, fired.at)
    if course.at < journey.wake_at:
        course.wait_until(journey.wake_at, ())
        return tuple(course.commands)
    if journey.mail is not None and journey.mail.status == "Deferred":
        return (SendMail(journey.instance, journey.mail.id),)
    course.due = journey.wake_at
    course.proceed_from_step()
    return tuple(course.commands)


def _on_broken_journey(setting: Setting, enrolment: Enrolment, broken: JourneyBroken) -> tuple[Command, ...]:
    """End it, and keep the event that it entered by."""
    journey = _running(enrolment, broken.journey)
    if journey is None:
        return ()
    course = Course(setting, enrolment, journey.instance, broken.at)
    course.exit("Failed", broken.reason)
    return (*course.commands, KeepDeadLetter(broken.reason, broken.message, journey.instance))


def _on_flow_gone(setting: Setting, enrolment: Enrolment, gone: FlowGone) -> tuple[Command, ...]:
    """End it, unless the flow is there again."""
    journey = _running(enrolment, gone.journey)
    if journey is None or not setting.flow.leave:
        return ()
    course = Course(setting, enrolment, journey.instance, gone.at)
    course.exit("FlowDeleted", "FlowDeleted")
    return tuple(course.commands)


def _running(enrolment: Enrolment, journey: str) -> Journey | None:
    return next((each for each in enrolment.journeys.values() if each.id == journey and each.running), None)


_AboutMail = AttemptPlanned | MailWithheld | MailBroken | OutcomeKnown


def _on_mail(
    setting: Setting, enrolment: Enrolment, about: _AboutMail, delivery: Delivery
) -> tuple[Command, ...]:
    journey = _with_mail(enrolment, about.mail)
    if journey is None or journey.mail is None:
        return ()
    course = Course(setting, enrolment, journey.instance, about.at)
    match about:
        case AttemptPlanned():
            on_attempt(course, journey.mail, about)
        case MailWithheld():
            on_withheld(course, journey.mail, about, delivery)
        case MailBroken():
            on_broken(course, journey.mail, about)
        case OutcomeKnown():
            on_outcome(course, journey.mail, about, delivery)
        case _:
            assert_never(about)
    return tuple(course.commands)


def _with_mail(enrolment: Enrolment, mail: str) -> Journey | None:
    return next((j for j in enrolment.journeys.values() if j.mail is not None and j.mail.id == mail), None)
