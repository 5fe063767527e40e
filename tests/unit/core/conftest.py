"""A small world for reactions: one flow, one contact, and a driver that folds what `react` says."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from emailflow_api.plans import FlowPlan, Program, Send, Step, Trigger, content_hash
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.commands import Command, IgnoreEvent, RecordFact
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.evolve import evolve
from emailflow_runtime.core.facts import Fact
from emailflow_runtime.core.inputs import EventArrived, Input, TimerFired
from emailflow_runtime.core.journey import Enrolment, Journey
from emailflow_runtime.core.program import CompiledProgram
from emailflow_runtime.core.reactions.course import Setting
from emailflow_runtime.core.reactions.mailing import Delivery
from emailflow_runtime.core.reactions.react import react
from emailflow_runtime.core.remembering import remember

SECOND = 1_000_000_000
NOON = 1_795_521_600 * SECOND
"""2026-11-24 12:00 UTC."""
SIGNED_UP = "com.example.user.signed_up"


def send(name: str = "welcome", then: str = "end", **fields: Any) -> Send:
    return Send(name=name, next=then, template=f"shop/{name}", **fields)


class World:
    """Carries out what `react` says, like the desk does, and remembers all of it."""

    def __init__(self, program: Program, contact: Contact, **flow: Any) -> None:
        revision = content_hash(program)
        plan = FlowPlan(namespace="shop", name="onboarding", revision=revision, **flow)
        self.setting = Setting(
            flow=plan, programs={revision: CompiledProgram(program)}, contact=contact, timezone="UTC"
        )
        self.enrolment = Enrolment(flow=plan.id, contact=contact.key)
        self.facts: list[Fact] = []
        self.sequence = 0

    def give(self, given: Input, delivery: Delivery | None = None) -> tuple[Command, ...]:
        commands = react(self.setting, self.enrolment, given, delivery or Delivery())
        for command in commands:
            if isinstance(command, RecordFact):
                journey = evolve(self.enrolment.journeys.get(command.instance), command.fact)
                assert journey is not None
                self.enrolment.journeys[command.instance] = journey
                self.facts.append(command.fact)
            if isinstance(command, IgnoreEvent):
                remember(self.enrolment, (command.event_hash,))
        if isinstance(given, EventArrived):
            self.enrolment.considered = max(self.enrolment.considered, given.sequence)
        return commands

    def event(
        self, kind: str = SIGNED_UP, data: bytes = b"{}", *, event_id: str = "", at: int = NOON
    ) -> tuple[Command, ...]:
        self.sequence += 1
        event = CloudEvent(id=event_id or f"e{self.sequence}", source="/accounts", type=kind, data=data)
        return self.give(EventArrived(at=at, event=event, sequence=self.sequence))

    def fire(self, at: int) -> tuple[Command, ...]:
        journey = self.journey
        return self.give(TimerFired(at=at, journey=journey.id, number=journey.timer))

    @property
    def journey(self) -> Journey:
        """The latest journey."""
        return max(self.enrolment.journeys.values(), key=lambda each: each.entered_at)

    def revise(self, program: Program) -> None:
        """Put another program in force."""
        revision = content_hash(program)
        programs = {**self.setting.programs, revision: CompiledProgram(program)}
        flow = replace(self.setting.flow, revision=revision)
        self.setting = replace(self.setting, flow=flow, programs=programs)


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world() -> MakeWorld:
    def make(
        *steps: Step, contact: Contact | None = None, flow: dict[str, Any] | None = None, **program: Any
    ) -> World:
        trigger = program.pop("trigger", Trigger(types=(SIGNED_UP,)))
        made = Program(trigger=trigger, steps=steps or (send(),), **program)
        who = contact or Contact(key="ab" * 16, email="ana@example.com", timezone="Europe/Berlin")
        return World(made, who, **(flow or {}))

    return make
