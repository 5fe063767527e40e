"""What follows from an event: exits of running journeys first, then, maybe, a new journey.

An event that has been considered before (a redelivery by its sequence, a producer's repeat by its source
and id) changes nothing.
"""

from msgspec.structs import replace

from emailflow_api.errors import ExpressionFailed
from emailflow_api.expressions import bind
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.commands import Command, IgnoreEvent, KeepDeadLetter
from emailflow_runtime.core.contact import event_view
from emailflow_runtime.core.identity import concurrent_instance, event_hash, instance_key, journey_id
from emailflow_runtime.core.inputs import EventArrived
from emailflow_runtime.core.journey import Enrolment, Journey
from emailflow_runtime.core.reactions.course import Course, Setting, bindings
from emailflow_runtime.core.reactions.redoing import redo_step

TOGETHER = 400
"""Journeys that one commit may end: JetStream takes 1,000 messages at once."""


def on_event(setting: Setting, enrolment: Enrolment, arrived: EventArrived) -> tuple[Command, ...]:
    """Commands for an event about this contact."""
    if arrived.replayed:
        return _on_replayed(setting, enrolment, arrived)
    redrive = arrived.redrive
    marks = (event_hash(arrived.event), *((redrive.mark,) if redrive else ()))
    if arrived.sequence <= enrolment.considered or enrolment.has_applied(marks[-1]):
        return ()
    if redrive is not None and redrive.step:
        return redo_step(setting, enrolment, arrived, redrive, marks)
    left, commands = _exits(setting, enrolment, arrived, marks)
    return (*commands, *_entry(setting, left, arrived, marks))


def needed_places(setting: Setting, arrived: EventArrived) -> tuple[str, ...]:
    """The instances at which an ended journey, however old, keeps this event from letting somebody in. Memory
    may have let go of it (`Enrolment.partial`)."""
    flow, event = setting.flow, arrived.event
    program = setting.programs[flow.revision]
    if not (arrived.replayed or flow.reentry == "Once") or event.type not in program.program.trigger.types:
        return ()
    values = bind(event=event_view(event), contact=setting.contact.view(), now=arrived.at)
    try:
        key = program.key.evaluate(values) if program.key else ""
    except ExpressionFailed:
        return ()
    instance = _instance(flow.reentry, key, event)
    return (instance, _neighbour(instance, 1))


def _on_replayed(setting: Setting, enrolment: Enrolment, arrived: EventArrived) -> tuple[Command, ...]:
    """An event that had its turn once counts at its own place: for journeys that have not got that far."""
    marks = (event_hash(arrived.event),)
    # How far the contact's other events have been considered says nothing about a journey that begins now.
    then = replace(enrolment, considered=0)
    left, commands = _exits(setting, then, arrived, marks)
    if not arrived.entering or enrolment.has_applied(marks[0]):
        return tuple(commands)
    return (*commands, *_entry(setting, left, arrived, marks))


def _exits(
    setting: Setting, enrolment: Enrolment, arrived: EventArrived, marks: tuple[int, ...]
) -> tuple[Enrolment, list[Command]]:
    """Take out whom the event takes out; the enrolment as it is then."""
    results = {
        instance: _exit_result(setting, journey, arrived)
        for instance, journey in enrolment.journeys.items()
        if journey.running and not (arrived.replayed and journey.sequence >= arrived.sequence)
    }
    leaving = {instance: (result, "ExitEvent") for instance, result in results.items() if result}
    return _leave(setting, enrolment, arrived, marks, leaving)


def _leave(
    setting: Setting,
    enrolment: Enrolment,
    arrived: EventArrived,
    marks: tuple[int, ...],
    leaving: dict[str, tuple[str, str]],
) -> tuple[Enrolment, list[Command]]:
    """End the journeys at these instances, each with a result and a reason.

    More than one commit holds are ended by several. Only those of the last one say that the event has had its
    turn, so that a redelivery ends the rest when that one was not made.
    """
    journeys = dict(enrolment.journeys)
    commands: list[Command] = []
    for number, (instance, (result, reason)) in enumerate(leaving.items()):
        last = number >= len(leaving) - TOGETHER
        considered, counted = (arrived.sequence, marks) if last else (0, ())
        course = Course(setting, enrolment, instance, arrived.at, considered=considered, counted=counted)
        course.exit(result, reason)
        commands += course.commands
        journeys[instance] = course.journey
    return replace(enrolment, journeys=journeys), commands


def _exit_result(setting: Setting, journey: Journey, arrived: EventArrived) -> str | None:
    program = setting.program(journey.revision)
    if not any(arrived.event.type in each.types for each in program.exits):
        return None
    values = bindings(setting, journey, arrived.at, arrived.event)
    return next((each.result for each in program.exits if each.matches(arrived.event, values)), None)


def _entry(
    setting: Setting, enrolment: Enrolment, arrived: EventArrived, marks: tuple[int, ...]
) -> tuple[Command, ...]:
    flow, event = setting.flow, arrived.event
    program = setting.programs[flow.revision]
    if flow.deleted or event.type not in program.program.trigger.types:
        return ()
    values = bind(event=event_view(event), contact=setting.contact.view(), now=arrived.at)
    if not program.admits(event, values):
        return ()
    try:
        key = program.key.evaluate(values) if program.key else ""
    except ExpressionFailed as failed:
        return (KeepDeadLetter(failed.reason, f"trigger.key: {failed}"),)
    return _enter(setting, enrolment, arrived, marks, key)


def _enter(
    setting: Setting, enrolment: Enrolment, arrived: EventArrived, marks: tuple[int, ...], key: str
) -> tuple[Command, ...]:
    flow, event = setting.flow, arrived.event
    same_key = [journey for journey in enrolment.journeys.values() if journey.key == key]
    running = {journey.instance for journey in same_key if journey.running}
    entered = any(event_hash(journey.event) == marks[0] for journey in same_key)
    if arrived.replayed and flow.reentry != "Concurrent":
        entered = entered or any(journey.sequence >= arrived.sequence for journey in same_key)
    if entered or (flow.reentry == "Once" and same_key) or (flow.reentry == "AfterExit" and running):
        return tuple(map(IgnoreEvent, marks))
    commands: list[Command] = []
    if flow.reentry == "Restart":
        leaving = dict.fromkeys(running, ("Restarted", "Restarted"))
        enrolment, commands = _leave(setting, enrolment, arrived, marks, leaving)
    instance = _free_instance(enrolment, _instance(flow.reentry, key, event))
    course = Course(setting, enrolment, instance, arrived.at, considered=arrived.sequence, counted=marks)
    course.enter(journey_id(flow.id, enrolment.contact, instance, event), event, key)
    course.proceed(setting.programs[flow.revision].program.steps[0].name)
    return (*commands, *course.commands)


def _instance(reentry: str, key: str, event: CloudEvent) -> str:
    return concurrent_instance(key, event) if reentry == "Concurrent" else instance_key(key)


def _free_instance(enrolment: Enrolment, wanted: str) -> str:
    """`wanted`, or a neighbour while a mail of the journey there is not settled: its outcome still counts."""
    instance, turn = wanted, 0
    while (there := enrolment.journeys.get(instance)) is not None and not there.finished:
        turn += 1
        instance = _neighbour(wanted, turn)
    return instance


def _neighbour(instance: str, turn: int) -> str:
    return f"{instance}~{turn}"
