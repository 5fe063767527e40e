"""The mails that the journeys of a shard stand at, as flow and plans say them now.

It finds them, and what they need. Whether one may go out is the gates' business.
"""

from typing import NamedTuple

from emailflow_api.plans import Send
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Draft, MailProblem
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.needs import Needs
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.journey import Journey, Mail
from emailflow_runtime.core.program import CompiledProgram
from emailflow_runtime.core.reactions.course import Setting
from emailflow_runtime.errors import ProgramNotFound


class Asked(NamedTuple):
    """A mail as its flow alone says it."""

    setting: Setting
    journey: Journey
    mail: Mail
    step: Send
    program: CompiledProgram


class Mails:
    """One for each shard."""

    def __init__(self, catalog: Catalog, desk: Desk, needs: Needs) -> None:
        self._catalog = catalog
        self._desk = desk
        self._needs = needs

    async def journey(self, key: EnrolmentKey, mail: str) -> Journey | None:
        """The journey that stands at this mail."""
        entry = await self._desk.entry(key)
        for journey in entry.enrolment.journeys.values():
            if journey.mail is not None and journey.mail.id == mail:
                return journey
        return None

    async def asked(self, key: EnrolmentKey, mail: str) -> Asked | None:
        """What is asked for; None when nothing is any more. Raises ProgramNotFound."""
        setting = await self._desk.setting(key)
        journey = await self.journey(key, mail)
        if setting is None:
            raise ProgramNotFound(key[0])
        if journey is None or journey.mail is None or journey.mail.settled:
            return None
        program = setting.program(journey.revision)
        step = program.step(journey.mail.step)
        return Asked(setting, journey, journey.mail, step, program) if isinstance(step, Send) else None

    async def draft(self, key: EnrolmentKey, mail: str) -> Draft | None:
        """The mail with all that it needs; None when there is nothing to send any more.

        Raises ProgramNotFound, and MailProblem when something that it needs is not there.
        """
        asked = await self.asked(key, mail)
        if asked is None:
            return None
        flow, step = asked.setting.flow, asked.step
        if (absent := self._needs.absent(flow, step)) is not None:
            raise MailProblem(absent.reason, absent.message)
        provider = self._catalog.plans.providers[self._catalog.provider_name(step, flow)]
        return Draft(
            asked.setting,
            asked.journey,
            asked.mail,
            step,
            asked.program,
            provider,
            self._catalog.policy(flow),
        )
