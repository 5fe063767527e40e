"""The sender of one shard: takes each mail that was asked for through compose, gates, intent, hand-over.

The intent is on disk before the provider is called, and what the provider said is recorded whatever it is
(DESIGN section 5). It never decides what a journey does next.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Protocol

from emailflow_api.plans import Catcher, ProviderPlan, Send
from emailflow_runtime.app.backlog import Backlog, Search
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import UNBOUND, Composed, Composer, Draft, MailProblem, Signer
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.flow_runner import FlowRunner
from emailflow_runtime.app.lanes import Lane, LaneClosed, Lanes
from emailflow_runtime.app.ports import Clock, MailTransport
from emailflow_runtime.app.stores import Consents, EnrolmentKey
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.consent import Consent
from emailflow_runtime.core.facts import PROVIDER, Gate
from emailflow_runtime.core.gates import Situation, discontinues, judge, passes
from emailflow_runtime.core.inputs import AttemptPlanned, MailBroken, MailWithheld, OutcomeKnown
from emailflow_runtime.core.journey import Journey, Mail
from emailflow_runtime.core.outcomes import Deferred, Outcome, Refused, Unknown
from emailflow_runtime.core.reactions.mailing import Delivery
from emailflow_runtime.errors import EmailFlowError, ProgramNotFound, Unavailable

SECOND = 1_000_000_000
START_WITHIN = 5
"""Seconds from the intent: after that nobody starts handing over."""
GIVE_UP_AFTER = 30
"""Seconds from the start of a hand-over: after that its outcome is unknown."""
RETRY_AFTER = 1.0
"""Seconds before a mail is tried again that something of our own held up."""
FRESH = 0.1
"""Seconds for which it counts that the flow had passed the end of EVENTS."""
PREPARING = 64
"""Mails of one shard that are rendered and judged at the same time."""

log = logging.getLogger(__name__)


class _Held(Exception):
    """The flow or the provider is suspended: the mail waits without a place."""

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.provider = provider


class Transports(Protocol):
    """The ways out, by provider."""

    def transport(self, provider: ProviderPlan) -> MailTransport:
        """The transport of a provider as it is declared now."""

    def signer(self, provider: ProviderPlan) -> Signer | None:
        """Its DKIM signer, if it has one. Raises EmailFlowError when the key can't be read."""


class Sender:
    """One for each shard. `runners`: the flows that run here, by id; `search`: what waits in STATE."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        desk: Desk,
        composer: Composer,
        transports: Transports,
        consents: Consents,
        clock: Clock,
        runners: Mapping[str, FlowRunner],
        lanes: Lanes,
        search: Search,
    ) -> None:
        self._catalog = catalog
        self._desk = desk
        self._composer = composer
        self._transports = transports
        self._consents = consents
        self._clock = clock
        self._runners = runners
        self._lanes = lanes
        self._preparing = asyncio.Semaphore(PREPARING)
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._intended: set[str] = set()
        self._backlog = Backlog(desk, catalog, self._begin, search)
        self._stopped = False

    def dispatch(self, key: EnrolmentKey, command: SendMail) -> None:
        """Take care of a mail, when its turn comes. One that is under way already is left alone."""
        if command.mail in self._under_way or self._stopped:
            return
        self._backlog.put(key, command)

    def is_under_way(self, mail: str) -> bool:
        """Whether somebody takes care of this mail now."""
        return mail in self._under_way

    def _begin(self, key: EnrolmentKey, mail: str, provider: str) -> bool:
        if mail in self._under_way or self._stopped:
            return False
        task = asyncio.create_task(self._take_care(key, mail))
        self._under_way[mail] = task

        def ended(_: asyncio.Task[None]) -> None:
            self._under_way.pop(mail, None)
            self._intended.discard(mail)
            self._backlog.done(provider)

        task.add_done_callback(ended)
        return True

    def stop(self) -> None:
        """Begin nothing new. Mails without an intent stay requested, for whoever comes next."""
        self._stopped = True
        self._backlog.stop()
        for mail, task in self._under_way.items():
            if mail not in self._intended:
                task.cancel()

    def abandon(self) -> None:
        """Drop everything: the shard is somebody else's, and so is what becomes of its mails."""
        self._stopped = True
        self._backlog.stop()
        for task in self._under_way.values():
            task.cancel()

    async def drained(self) -> None:
        """Return when no hand-over is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way.values())

    async def delivery_of(self, key: EnrolmentKey, mail: str) -> Delivery:
        """What the provider declares that this mail was last given to."""
        journey = await self._journey(key, mail)
        provider = self._catalog.provider(journey.mail.provider) if journey and journey.mail else None
        return Delivery(provider.retry, provider.on_unknown or "Hold") if provider else Delivery()

    async def rehearse(self, key: EnrolmentKey, mail: str) -> None:
        """Make and judge a mail as `dispatch` will, and do nothing with it: whatever may take the process
        down has happened then."""
        try:
            draft = await self._draft(key, mail)
            if draft is not None:
                at = self._clock.now()
                composed = await self._composer.compose(draft, at, self._transports.signer(draft.provider))
                judge(self._situation(draft, self._consents.of(composed.address), at))
        except Exception as error:  # noqa: BLE001 - it comes again when the mail is sent, and is handled there
            log.debug("a mail can't be made: %s", type(error).__name__)

    async def _take_care(self, key: EnrolmentKey, mail: str) -> None:
        """Deliver; when something of our own is away, again, since that says nothing about the mail."""
        while True:
            try:
                await self._deliver(key, mail)
                return
            except (ProgramNotFound, _Held) as held:
                self._backlog.hold(key, mail, held.provider if isinstance(held, _Held) else "")
                return
            except Unavailable as away:
                log.info("a mail has to wait: %s", away)
                await asyncio.sleep(RETRY_AFTER)

    async def _deliver(self, key: EnrolmentKey, mail: str) -> None:
        try:
            draft = await self._draft(key, mail)
            if draft is None:
                return
            if self._catalog.is_suspended(key[0], draft.provider.name):
                raise _Held(draft.provider.name)
            lane = self._lane(draft.provider)
            lane.check()
            composed = await self._compose(key, draft)
            if composed is not None:
                await self._passed(key[0])
                passed = asyncio.get_running_loop().time()
                async with lane.slot(composed.outgoing.recipients[0]):
                    # A place is not held while events are read, unless waiting for it has taken long.
                    if asyncio.get_running_loop().time() - passed > FRESH:
                        await self._passed(key[0])
                    known = await self._attempt(key, mail, composed)
                if known is not None:
                    await self._record(key, known)
        except (Unavailable, ProgramNotFound, _Held):
            raise
        except LaneClosed as closed:
            await self._park(key, mail, closed)
        except EmailFlowError as error:
            await self._broken(key, mail, error.reason, str(error))
        except Exception as error:
            log.exception("mail failed", extra={"flow": key[0], "mail": mail})
            await self._broken(key, mail, "InternalError", type(error).__name__)

    def _lane(self, provider: ProviderPlan) -> Lane:
        """The way to a provider. One that is down need not be when it is reached with other credentials."""
        lane = self._lanes.to(provider)
        if lane.down:
            with contextlib.suppress(EmailFlowError):
                lane.goes_through(self._transports.transport(provider))
        return lane

    async def _draft(self, key: EnrolmentKey, mail: str) -> Draft | None:
        """The mail as it stands now; None when there is nothing to send any more. Raises ProgramNotFound."""
        setting = await self._desk.setting(key)
        journey = await self._journey(key, mail)
        if setting is None:
            raise ProgramNotFound(key[0])
        if journey is None or journey.mail is None or journey.mail.settled:
            return None
        program = setting.program(journey.revision)
        step = program.step(journey.mail.step)
        if not isinstance(step, Send):
            return None
        policy = self._catalog.policy(setting.flow)
        name = self._catalog.provider_name(step, setting.flow)
        provider = self._catalog.provider(name)
        if provider is None:
            raise MailProblem("ProviderNotFound", f"there is no provider {name or 'for this mail'}")
        return Draft(setting, journey, journey.mail, step, program, provider, policy)

    async def _journey(self, key: EnrolmentKey, mail: str) -> Journey | None:
        entry = await self._desk.entry(key)
        for journey in entry.enrolment.journeys.values():
            if journey.mail is not None and journey.mail.id == mail:
                return journey
        return None

    async def _compose(self, key: EnrolmentKey, draft: Draft) -> Composed | None:
        async with self._preparing:
            signer = self._transports.signer(draft.provider)
            try:
                return await self._composer.compose(draft, self._clock.now(), signer)
            except Unavailable:
                raise
            except EmailFlowError as error:
                # A mail that would not go out anyway is explained by its gate, not by its template.
                if not await self._withheld(key, draft, Consent()):
                    raise
                log.info("mail withheld", extra={"flow": key[0], "reason": error.reason})
                return None

    async def _park(self, key: EnrolmentKey, mail: str, closed: LaneClosed) -> None:
        """Let a mail wait behind a timer, where it needs no memory and holds nobody up."""
        draft = await self._draft(key, mail)
        if draft is None or (not draft.journey.running and await self._withheld(key, draft, Consent())):
            return
        at = self._clock.now()
        # Those that are sent back together should not all come again at once.
        until = at + int(closed.pause * (1 + int(mail[:4], 16) / 0x20000) * SECOND)
        parked = MailWithheld(at=at, mail=mail, gates=(Gate(PROVIDER, "Hold", closed.reason, until),))
        await self._desk.decide(key, parked, Delivery(draft.provider.retry))

    async def _passed(self, flow: str) -> None:
        """Return when everything is decided that stood in EVENTS at this call."""
        if (runner := self._runners.get(flow)) is not None:
            await runner.passed()

    async def _attempt(self, key: EnrolmentKey, mail: str, composed: Composed) -> OutcomeKnown | None:
        """Judge once more, write the intent, hand over; the outcome, None when nothing was handed over."""
        draft = await self._draft(key, mail)
        if draft is None:
            return None
        if self._catalog.is_suspended(key[0], draft.provider.name):
            # Meanwhile: a mail may have waited long for its place.
            raise _Held(draft.provider.name)
        at = self._clock.now()
        verdicts = judge(self._situation(draft, self._consents.of(composed.address), at))
        if not passes(verdicts):
            await self._withhold(key, draft.mail, at, verdicts)
            return None
        self._intended.add(mail)
        intent = await self._intend(key, draft, at, verdicts)
        if intent is None:
            return None
        outcome = await self._hand_over(draft.provider, composed, intent.start_by)
        return OutcomeKnown(at=self._clock.now(), mail=mail, attempt=intent.attempts, outcome=outcome)

    async def _record(self, key: EnrolmentKey, known: OutcomeKnown) -> None:
        """Record what the provider said. A program that is gone meanwhile is waited for: a mail that is out
        must not stay without its outcome."""
        if isinstance(known.outcome, Refused):
            self._desk.release(key[1], known.mail)
        while True:
            try:
                await self._desk.decide(key, known, await self.delivery_of(key, known.mail))
                return
            except ProgramNotFound:
                await self._catalog.until_usable(key[0])

    async def _withheld(self, key: EnrolmentKey, draft: Draft, consent: Consent) -> bool:
        """Whether a gate holds the mail back; then that is recorded."""
        at = self._clock.now()
        verdicts = judge(self._situation(draft, consent, at))
        if passes(verdicts):
            return False
        await self._withhold(key, draft.mail, at, verdicts)
        return True

    async def _withhold(self, key: EnrolmentKey, mail: Mail, at: int, verdicts: tuple[Gate, ...]) -> None:
        ends = discontinues(verdicts)
        await self._desk.decide(key, MailWithheld(at=at, mail=mail.id, gates=verdicts, discontinue=ends))

    def _situation(self, draft: Draft, consent: Consent, at: int) -> Situation:
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

    async def _intend(
        self, key: EnrolmentKey, draft: Draft, at: int, verdicts: tuple[Gate, ...]
    ) -> Mail | None:
        """Write the intent and wait until it is on disk; the mail then, None when it may not go out."""
        start_by = at + START_WITHIN * SECOND
        planned = AttemptPlanned(
            at=at,
            mail=draft.mail.id,
            provider=draft.provider.name,
            start_by=start_by,
            settled_by=start_by + GIVE_UP_AFTER * SECOND,
            gates=verdicts,
        )
        if draft.policy is None or not draft.policy.transactional:
            self._desk.reserve(key[1], draft.mail.id, at)
        if not await self._desk.decide(key, planned):
            self._desk.release(key[1], draft.mail.id)
            return None
        await self._desk.committed()
        journey = await self._journey(key, draft.mail.id)
        return journey.mail if journey else None

    async def _hand_over(self, provider: ProviderPlan, composed: Composed, start_by: int) -> Outcome:
        """Hand over by the intent's own deadlines: writing it may have taken long."""
        # In this order: a pause between the two makes it earlier, never later.
        now = asyncio.get_running_loop().time()
        left = (start_by - self._clock.now()) / SECOND
        if left <= 0:
            return Deferred("TooLate", "the intent took too long to write", systemic=True)
        latest = now + left
        try:
            transport = self._transports.transport(provider)
        except EmailFlowError as error:
            return Deferred(error.reason, str(error), systemic=True)
        self._lanes.to(provider).goes_through(transport)
        handing_over = transport.hand_over(
            composed.outgoing, start_by=latest, give_up_at=latest + GIVE_UP_AFTER
        )
        try:
            return await self._lanes.to(provider).watch(handing_over)
        except Exception:
            # A transport never raises for what a provider does; if it does, nobody knows what happened.
            log.exception("transport failed", extra={"provider": provider.name})
            return Unknown("TransportFailed")
        finally:
            # One that was called off while it waited for its turn has not begun.
            handing_over.close()

    async def _broken(self, key: EnrolmentKey, mail: str, reason: str, message: str) -> None:
        broken = MailBroken(at=self._clock.now(), mail=mail, reason=reason, message=message)
        await self._desk.decide(key, broken)
