"""The course of one journey during one reaction: facts are folded as they are made, commands collected.

It knows how steps follow each other. Why a journey starts, ends or moves is the other modules' matter.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from emailflow_api.durations import add, is_zone, next_time
from emailflow_api.expressions import Bindings, bind
from emailflow_api.plans import END, Branch, End, FlowPlan, Send, Wait
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.commands import ArmTimer, Command, KeepDeadLetter, RecordFact, SendMail
from emailflow_runtime.core.contact import Contact, event_view, kept_event_view
from emailflow_runtime.core.evolve import evolve
from emailflow_runtime.core.facts import (
    Advanced,
    Completed,
    Entered,
    Exited,
    Fact,
    MailRequested,
    MailSkipped,
)
from emailflow_runtime.core.identity import mail_id
from emailflow_runtime.core.journey import Enrolment, Journey
from emailflow_runtime.core.program import CompiledProgram, holds

MAX_UNWAITED = 100
"""How many steps a journey may go through without waiting: as many as a flow has. More are a loop that takes
no time, which compile refuses; one on which something waits is not limited."""


class Setting(msgspec.Struct, frozen=True):
    """What a reaction may know besides state and input: the flow as it is now, and whom it is about."""

    flow: FlowPlan
    programs: Mapping[str, CompiledProgram]
    """By revision: the current one, and those that journeys are still on."""
    contact: Contact
    timezone: str = "UTC"
    """The runtime's default, for contacts without one of their own."""

    @property
    def zone(self) -> str:
        """The IANA zone of this contact; the runtime's when the contact has none that exists."""
        return self.contact.timezone if is_zone(self.contact.timezone) else self.timezone

    def program(self, revision: str) -> CompiledProgram:
        """The program of a revision; the current one when that revision is gone."""
        return self.programs.get(revision) or self.programs[self.flow.revision]


def journey_view(journey: Journey, flow: FlowPlan) -> dict[str, Any]:
    """What expressions and templates see as `journey`."""
    return {"id": journey.id, "flow": flow.name, "step": journey.step, "variant": ""}


def bindings(setting: Setting, journey: Journey, at: int, event: Any = None) -> Bindings:
    """Values for expressions about a running journey. `event` is the one at hand, else the entering one."""
    trigger = kept_event_view(journey.event)
    return bind(
        event=event_view(event) if event is not None else trigger,
        trigger=trigger,
        contact=setting.contact.view(),
        journey=journey_view(journey, setting.flow),
        now=at,
    )


class Course:
    """Moves the journey at one instance along; `commands` is what came of it.

    `considered` and `counted` go into its first fact: how far events have been decided about, and which
    of them counted.
    """

    def __init__(
        self,
        setting: Setting,
        enrolment: Enrolment,
        instance: str,
        at: int,
        *,
        considered: int = 0,
        counted: tuple[int, ...] = (),
    ) -> None:
        self.setting = setting
        self.instance = instance
        self.commands: list[Command] = []
        self._journey = enrolment.journeys.get(instance)
        self.at = max(at, self._journey.at) if self._journey else at
        self.due = self.at
        """When what follows should have happened; earlier than `at` after a time without an owner."""
        self._considered = max(considered, enrolment.considered)
        self._counted = counted

    @property
    def journey(self) -> Journey:
        """The journey as it stands after the facts so far. Raises LookupError when there is none."""
        if self._journey is None:
            raise LookupError(f"no journey at {self.instance}")
        return self._journey

    def enter(self, journey: str, event: CloudEvent, key: str, *, redone: bool = False) -> None:
        """Start a journey here. What an ended one at this instance remembered lives on.

        `redone`: it does its first step only, and ends.
        """
        remembered = self._journey.applied if self._journey else ()
        self._counted = (*remembered, *self._counted)
        flow = self.setting.flow
        self._fold(
            Entered(
                journey=journey,
                number=1,
                at=self.at,
                sequence=self._considered,
                applied=self._counted,
                flow=flow.id,
                contact=self.setting.contact.key,
                instance=self.instance,
                revision=flow.revision,
                # The one at hand is parsed; this one stays.
                event=event if event.is_small else msgspec.structs.replace(event),
                key=key,
                redone=redone,
            )
        )

    def record(self, kind: Callable[..., Fact], **fields: Any) -> None:
        """A fact of this kind about the journey: fold it, and arm the timer it implies."""
        journey = self.journey
        self._fold(
            kind(
                journey=journey.id,
                number=journey.facts + 1,
                at=self.at,
                sequence=self._considered,
                applied=self._counted,
                **fields,
            )
        )

    def _fold(self, fact: Fact) -> None:
        self._counted = ()
        before, self._journey = self._journey, evolve(self._journey, fact)
        after = self.journey
        self.commands.append(RecordFact(self.instance, fact, after))
        old = before.timer if before and before.id == after.id else 0
        if after.timer and after.timer != old:
            self.commands.append(ArmTimer(self.instance, after.wake_at))

    def exit(self, result: str, reason: str) -> None:
        """End the journey before its end. A mail that no provider has been given yet is not sent."""
        mail = self.journey.mail
        if mail is not None and not mail.settled and mail.status != "Attempted":
            self.record(MailSkipped, mail=mail.id, reason="JourneyExited")
        self.record(Exited, result=result, reason=reason)

    def proceed(self, target: str) -> None:
        """Go to `target` and on, through steps that take no time, until one waits, sends or ends."""
        path: list[str] = []
        program = self.setting.program(self.journey.revision)
        while target != END:
            step = program.step(target)
            if step is None:
                return self.exit("Exited", "StepGone")
            if self.journey.unwaited + len(path) >= MAX_UNWAITED:
                return self._give_up(target)
            path.append(target)
            match step:
                case Branch():
                    target = self._choose(step, program)
                case End():
                    return self._complete(step.result, path)
                case Send():
                    return self._request(step, path)
                case Wait():
                    wake_at = self._wake_at(step, again=step.name in (self.journey.step, *path[:-1]))
                    if wake_at > self.at:
                        return self.wait_until(wake_at, path)
                    target = step.next
                case _:
                    assert_never(step)
        return self._complete("Completed", path)

    def proceed_from_step(self) -> None:
        """Leave the step that the journey stands at."""
        step = self.setting.program(self.journey.revision).step(self.journey.step)
        if self.journey.redone:
            self._complete("Redone", [])
        elif step is None:
            self.exit("Exited", "StepGone")
        elif isinstance(step, End):
            self._complete(step.result, [])
        else:
            self.proceed(step.next)

    def go_on(self) -> None:
        """Leave the step if the journey runs; one that can't be moved on ends, with its event kept.

        What was recorded before stays recorded, whatever the next step does: a mail's outcome above all.
        """
        if not self.journey.running:
            return
        recorded, journey = len(self.commands), self._journey
        try:
            self.proceed_from_step()
        except Exception as error:  # noqa: BLE001 - a defect in one step must not undo what is known
            del self.commands[recorded:]
            self._journey = journey
            message = f"what follows step {self.journey.step} failed with {type(error).__name__}"
            self.exit("Failed", "PoisonInput")
            self.commands.append(KeepDeadLetter("PoisonInput", message, self.instance))

    def _choose(self, step: Branch, program: CompiledProgram) -> str:
        values = bindings(self.setting, self.journey, self.at)
        for case in step.cases:
            if holds(program.conditions[case.when], values):
                return case.then
        return step.next

    def _complete(self, result: str, path: list[str]) -> None:
        self.record(Completed, result=result, path=tuple(path))

    def _request(self, step: Send, path: list[str]) -> None:
        journey = self.journey
        turn = journey.passes.get(step.name, 0) + path.count(step.name)
        mail = mail_id(journey.flow, journey.id, step.name, turn)
        self.record(
            MailRequested, path=tuple(path), mail=mail, turn=turn, template=step.template, due=self.due
        )
        self.commands.append(SendMail(self.instance, mail))

    def _give_up(self, target: str) -> None:
        """End a journey that goes round and round."""
        self.exit("Failed", "TooManyPasses")
        message = f"step {target}: more than {MAX_UNWAITED} steps without a wait in between"
        self.commands.append(KeepDeadLetter("TooManyPasses", message, self.instance))

    def _wake_at(self, step: Wait, *, again: bool) -> int:
        """When the wait ends. `again`: the journey has just left it, so that the same moment is over."""
        if step.until is not None:
            zone = self.setting.zone if step.until.timezone == "contact" else step.until.timezone
            return next_time(self.at + again, step.until, zone)
        return add(self.at, step.duration, self.setting.zone)

    def wait_until(self, wake_at: int, path: Sequence[str]) -> None:
        """Stand still at the last step of `path` (or where the journey is) until `wake_at`."""
        timer = self.journey.timers + 1
        self.record(Advanced, path=tuple(path), wake_at=wake_at, timer=timer)
