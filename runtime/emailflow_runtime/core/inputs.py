"""Inputs: what a journey reacts to. Each brings its own time, so that deciding reads no clock."""

from typing import TypeAlias

import msgspec

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import Gate
from emailflow_runtime.core.outcomes import Outcome
from emailflow_runtime.core.redrive import Redrive


class _Input(msgspec.Struct, frozen=True):
    """Base: when it happened, in nanoseconds since 1970 UTC (for an event, its JetStream timestamp)."""

    at: int


class EventArrived(_Input, frozen=True):
    """An event about this contact stands at `sequence` in EVENTS."""

    event: CloudEvent
    sequence: int
    redrive: Redrive | None = None
    replayed: bool = False
    """It had its turn before, and is read again."""
    entering: bool = True
    """False: it may take somebody out, but lets nobody in."""


class TimerFired(_Input, frozen=True):
    """Timer `number` of journey `journey` went off."""

    journey: str
    number: int


class AttemptPlanned(_Input, frozen=True):
    """The sender is about to hand the mail over, if it still may."""

    mail: str
    provider: str
    start_by: int
    settled_by: int
    gates: tuple[Gate, ...] = ()


class MailWithheld(_Input, frozen=True):
    """A gate said no. `discontinue` ends the journey with it (`continueIf`)."""

    mail: str
    gates: tuple[Gate, ...]
    discontinue: bool = False
    message: str = ""
    """What is not there, if it is withheld for that."""


class MailBroken(_Input, frozen=True):
    """The mail can't be made: a template that fails, an address that can't be."""

    mail: str
    reason: str
    message: str


class JourneyBroken(_Input, frozen=True):
    """Journey `journey` can't be moved on: what comes next takes the process down."""

    journey: str
    reason: str
    message: str


class FlowGone(_Input, frozen=True):
    """The flow of journey `journey` was deleted, and is to be left."""

    journey: str


class OutcomeKnown(_Input, frozen=True):
    """What the provider answered, or that nobody will ever know."""

    mail: str
    attempt: int
    outcome: Outcome


Input: TypeAlias = (
    EventArrived
    | TimerFired
    | JourneyBroken
    | FlowGone
    | AttemptPlanned
    | MailWithheld
    | MailBroken
    | OutcomeKnown
)
