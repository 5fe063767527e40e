"""What the gates see of a mail, and the record of one that they hold back.

The gates themselves are pure (`core/gates.py`); nothing is composed or handed over here.
"""

from emailflow_api.plans import Catcher, ProviderPlan
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import UNBOUND, Draft
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.mails import Mails
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import EnrolmentKey
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.facts import Gate
from emailflow_runtime.core.gates import Absent, Situation, discontinues, judge, passes
from emailflow_runtime.core.inputs import MailWithheld
from emailflow_runtime.core.reactions.course import bindings
from emailflow_runtime.core.reactions.mailing import Delivery


class Gatekeeper:
    """One for each shard."""

    def __init__(self, catalog: Catalog, desk: Desk, mails: Mails, clock: Clock) -> None:
        self._catalog = catalog
        self._desk = desk
        self._mails = mails
        self._clock = clock

    def situation(self, draft: Draft, consent: Consent | None, at: int) -> Situation:
        """A mail as the gates see it at this moment; `consent` is that of its address."""
        return Situation(
            journey=draft.journey,
            mail=draft.mail,
            step=draft.step,
            program=draft.program,
            policy=draft.policy,
            consent=consent,
            values=draft.values(at) if draft.conditional else UNBOUND,
            zone=draft.setting.zone,
            at=at,
            contact_zone=draft.setting.contact.timezone,
            sent=self._desk.sent(draft.setting.contact.key),
            captured=self._captured(draft.provider),
        )

    def _captured(self, provider: ProviderPlan) -> bool:
        """Whether mails are only composed. A mail catcher catches them anyway."""
        return self._catalog.plans.runtime.delivery.mode == "Capture" and not isinstance(
            provider.transport, Catcher
        )

    async def withhold(self, key: EnrolmentKey, mail: str, at: int, verdicts: tuple[Gate, ...]) -> None:
        """Record that these verdicts hold the mail back. Raises ProgramNotFound."""
        ends = discontinues(verdicts)
        await self._desk.decide(key, MailWithheld(at=at, mail=mail, gates=verdicts, discontinue=ends))

    async def withheld(self, key: EnrolmentKey, draft: Draft) -> bool:
        """Whether the flow itself holds the mail back, whomever it is for; then that is recorded."""
        at = self._clock.now()
        verdicts = judge(self.situation(draft, None, at))
        if passes(verdicts):
            return False
        await self.withhold(key, draft.mail.id, at, verdicts)
        return True

    async def wait_for(self, key: EnrolmentKey, mail: str, absent: Absent) -> bool:
        """Record that the mail waits for what is not there, or what else the flow says of it. Whether it
        waits now. Raises ProgramNotFound."""
        asked = await self._mails.asked(key, mail)
        if asked is None:
            return False
        setting, journey, there, step, program = asked
        at = self._clock.now()
        conditional = program.continue_if is not None or bool(step.skip_if)
        situation = Situation(
            journey=journey,
            mail=there,
            step=step,
            program=program,
            policy=None,
            consent=None,
            values=bindings(setting, journey, at) if conditional else UNBOUND,
            zone=setting.zone,
            at=at,
            absent=absent,
        )
        provider = self._catalog.provider(self._catalog.provider_name(step, setting.flow))
        delivery = Delivery(provider.retry) if provider is not None else Delivery()
        verdicts = judge(situation)
        ends, said = discontinues(verdicts), absent.message
        withheld = MailWithheld(at=at, mail=mail, gates=verdicts, discontinue=ends, message=said)
        await self._desk.decide(key, withheld, delivery)
        after = await self._mails.journey(key, mail)
        return after is not None and after.mail is not None and bool(after.mail.held)
