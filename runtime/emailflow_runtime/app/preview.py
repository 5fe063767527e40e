"""What a replay would do, found out in memory: the same reactions, on copies, and nothing is kept or sent."""

from collections.abc import Iterable

import msgspec

from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.core.commands import Command, RecordFact
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.evolve import evolve
from emailflow_runtime.core.inputs import EventArrived, Input, TimerFired
from emailflow_runtime.core.journey import Enrolment, Journey
from emailflow_runtime.core.reactions.course import Setting
from emailflow_runtime.core.reactions.react import react

MOST_STEPS = 1000
"""More timers than this in one journey are not followed."""


class Entering(msgspec.Struct, frozen=True):
    """Somebody whom the replay would let in. Times are nanoseconds since 1970 UTC, 0: none.

    `mail` is the template of the first mail that would be due now, unless a gate holds it back; `wakes_at`
    until when the journey would wait; `result` with what it would be over again at once.
    """

    contact: str
    address: str
    source: str
    event: str
    at: int
    step: str
    mail: str = ""
    wakes_at: int = 0
    result: str = ""


class Preview:
    """For one flow."""

    def __init__(self, catalog: Catalog, flow: str, now: int) -> None:
        self._catalog = catalog
        self._flow = flow
        self._now = now
        self._enrolments: dict[str, Enrolment] = {}
        self._contacts: dict[str, Contact] = {}
        self._new: dict[str, tuple[str, str]] = {}

    def unknown(self, contacts: Iterable[str]) -> list[str]:
        """Those of these contacts that `know` has not been told of."""
        return [each for each in dict.fromkeys(contacts) if each not in self._enrolments]

    def know(self, contact: Contact, enrolment: Enrolment | None) -> None:
        """How a contact stands in the flow now."""
        self._contacts[contact.key] = contact
        self._enrolments[contact.key] = enrolment or Enrolment(flow=self._flow, contact=contact.key)

    def take(self, contact: str, arrived: EventArrived) -> None:
        """Read an event of the stretch, or after it."""
        before = {journey.id for journey in self._enrolments[contact].journeys.values()}
        self._react(contact, arrived)
        for instance, journey in self._enrolments[contact].journeys.items():
            if journey.id not in before:
                self._new[journey.id] = (contact, instance)

    def entering(self) -> list[Entering]:
        """Whom it would let in, once everything has been taken: timers that are due have fired by then."""
        found = []
        for journey_id, (contact, instance) in self._new.items():
            journey = self._followed(contact, instance, journey_id)
            if journey is not None:
                found.append(self._described(journey))
        return found

    def _react(self, contact: str, arrived: Input) -> tuple[Command, ...]:
        flow = self._catalog.flow(self._flow)
        if flow is None:
            return ()
        timezone = self._catalog.plans.runtime.default_timezone
        setting = Setting(flow, self._catalog.programs, self._contacts[contact], timezone)
        enrolment = self._enrolments[contact]
        commands = react(setting, enrolment, arrived)
        for command in commands:
            if isinstance(command, RecordFact):
                journey = evolve(enrolment.journeys.get(command.instance), command.fact)
                if journey is not None:
                    enrolment.journeys[command.instance] = journey
        return commands

    def _followed(self, contact: str, instance: str, journey_id: str) -> Journey | None:
        """The journey after every timer that is due; None when another has taken its place."""
        for _ in range(MOST_STEPS):
            journey = self._enrolments[contact].journeys[instance]
            if journey.id != journey_id:
                return None
            if not journey.running or not journey.timer or journey.wake_at > self._now:
                return journey
            self._react(contact, TimerFired(at=self._now, journey=journey.id, number=journey.timer))
        return self._enrolments[contact].journeys[instance]

    def _described(self, journey: Journey) -> Entering:
        due = journey.mail is not None and journey.mail.status == "Requested"
        return Entering(
            contact=journey.contact,
            address=self._contacts[journey.contact].email,
            source=journey.event.source,
            event=journey.event.id,
            at=journey.entered_at,
            step=journey.step,
            mail=journey.mail.template if journey.mail is not None and due else "",
            wakes_at=journey.wake_at,
            result=journey.result,
        )
