"""A mail that could not be made, made again: a journey of its own that does that one step and ends.

The journey that failed has gone on meanwhile, so it is left alone, and none of its other mails is sent again.
"""

from emailflow_runtime.core.commands import Command, KeepDeadLetter
from emailflow_runtime.core.identity import journey_id
from emailflow_runtime.core.inputs import EventArrived
from emailflow_runtime.core.journey import Enrolment
from emailflow_runtime.core.reactions.course import Course, Setting
from emailflow_runtime.core.redrive import Redrive


def redo_step(
    setting: Setting, enrolment: Enrolment, arrived: EventArrived, redrive: Redrive, marks: tuple[int, ...]
) -> tuple[Command, ...]:
    """Commands that make the mail of `redrive.step` again, by the flow as it is now."""
    flow, event = setting.flow, arrived.event
    if setting.programs[flow.revision].step(redrive.step) is None:
        return (KeepDeadLetter("StepGone", f"there is no step {redrive.step} any more", step=redrive.step),)
    instance = redrive.instance
    course = Course(setting, enrolment, instance, arrived.at, considered=arrived.sequence, counted=marks)
    course.enter(journey_id(flow.id, enrolment.contact, instance, event), event, instance, redone=True)
    course.proceed(redrive.step)
    return tuple(course.commands)
