"""The sender of one shard: takes each mail that was asked for through compose, gates, intent, hand-over.

The intent is on disk before the provider is called, and what the provider said is recorded whatever it is
(DESIGN section 5). It never decides what a journey does next.
"""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from emailflow_api.plans import ProviderPlan
from emailflow_runtime.app.backlog import Backlog, Search
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Composed, Composer, Draft
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.flow_runner import FlowRunner
from emailflow_runtime.app.gatekeeper import Gatekeeper
from emailflow_runtime.app.lanes import Lane, LaneClosed, Lanes
from emailflow_runtime.app.mails import Mails
from emailflow_runtime.app.needs import Needs, Transports, absence_in
from emailflow_runtime.app.ports import Clock, MailTransport
from emailflow_runtime.app.stores import Consents, EnrolmentKey
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.facts import ABSENT, COPIES, PROVIDER, Gate
from emailflow_runtime.core.gates import judge, passes
from emailflow_runtime.core.inputs import AttemptPlanned, MailBroken, MailWithheld, OutcomeKnown
from emailflow_runtime.core.journey import Mail
from emailflow_runtime.core.outcomes import Deferred, Outcome, Refused, Unknown
from emailflow_runtime.core.reactions.mailing import Delivery
from emailflow_runtime.errors import EmailFlowError, ProgramNotFound, RecordUnreadable, Unavailable

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
    """The flow or the provider is suspended, or something is not there: the mail waits without a place."""


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
        needs = Needs(catalog, transports)
        self._mails = Mails(catalog, desk, needs)
        self._gates = Gatekeeper(catalog, desk, self._mails, clock)
        self._backlog = Backlog(desk, needs, self._begin, search)
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
        journey = await self._mails.journey(key, mail)
        provider = self._catalog.provider(journey.mail.provider) if journey and journey.mail else None
        return Delivery(provider.retry, provider.on_unknown or "Hold") if provider else Delivery()

    async def rehearse(self, key: EnrolmentKey, mail: str) -> None:
        """Make and judge a mail as `dispatch` will, and do nothing with it: whatever may take the process
        down has happened then."""
        try:
            draft = await self._mails.draft(key, mail)
            if draft is not None:
                at = self._clock.now()
                composed = await self._composer.compose(
                    draft, at, self._transports.signer(draft.provider), self._consents.of
                )
                judge(self._gates.situation(draft, self._consents.of(composed.address), at))
        except Exception as error:  # noqa: BLE001 - it comes again when the mail is sent, and is handled there
            log.debug("a mail can't be made: %s", type(error).__name__)

    async def _take_care(self, key: EnrolmentKey, mail: str) -> None:
        """Deliver; when something of our own is away, again, since that says nothing about the mail."""
        while True:
            try:
                await self._deliver(key, mail)
                return
            except (ProgramNotFound, _Held):
                self._backlog.hold(key, mail)
                return
            except RecordUnreadable as broken:
                log.error("a mail is left alone: %s", broken, extra={"flow": key[0], "reason": broken.reason})
                return
            except Unavailable as away:
                log.info("a mail has to wait: %s", away)
                await asyncio.sleep(RETRY_AFTER)

    async def _deliver(self, key: EnrolmentKey, mail: str) -> None:
        try:
            try:
                await self._deliver_now(key, mail)
            except LaneClosed as closed:
                await self._park(key, mail, closed)
        except (Unavailable, ProgramNotFound, _Held):
            raise
        except EmailFlowError as error:
            if (absent := absence_in(error)) is None:
                await self._broken(key, mail, error.reason, str(error))
            elif await self._gates.wait_for(key, mail, absent):
                raise _Held from None
        except Exception as error:
            log.exception("mail failed", extra={"flow": key[0], "mail": mail})
            await self._broken(key, mail, "InternalError", type(error).__name__)

    async def _deliver_now(self, key: EnrolmentKey, mail: str) -> None:
        draft = await self._mails.draft(key, mail)
        if draft is None:
            return
        if self._catalog.is_suspended(key[0], draft.provider.name):
            raise _Held
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

    def _lane(self, provider: ProviderPlan) -> Lane:
        """The way to a provider. One that is down need not be when it is reached with other credentials."""
        lane = self._lanes.to(provider)
        if lane.down:
            with contextlib.suppress(EmailFlowError):
                lane.goes_through(self._transports.transport(provider))
        return lane

    async def _compose(self, key: EnrolmentKey, draft: Draft) -> Composed | None:
        async with self._preparing:
            signer = self._transports.signer(draft.provider)
            try:
                return await self._composer.compose(draft, self._clock.now(), signer, self._consents.of)
            except Unavailable:
                raise
            except EmailFlowError as error:
                # A mail that would not go out anyway is explained by its gate, not by its template.
                if error.reason in ABSENT or not await self._gates.withheld(key, draft):
                    raise
                log.info("mail withheld", extra={"flow": key[0], "reason": error.reason})
                return None

    async def _park(self, key: EnrolmentKey, mail: str, closed: LaneClosed) -> None:
        """Let a mail wait behind a timer, where it needs no memory and holds nobody up."""
        draft = await self._mails.draft(key, mail)
        if draft is None or (not draft.journey.running and await self._gates.withheld(key, draft)):
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
        draft = await self._mails.draft(key, mail)
        if draft is None:
            return None
        if self._catalog.is_suspended(key[0], draft.provider.name):
            # Meanwhile: a mail may have waited long for its place.
            raise _Held
        if not composed.still_fits(draft):
            raise Unavailable("its provider or its policy has changed: it is made again")
        if not composed.reaches_only_willing(self._consents.of):
            raise Unavailable("somebody in `cc` or `bcc` has left: it is made again")
        at = self._clock.now()
        verdicts = judge(self._gates.situation(draft, self._consents.of(composed.address), at))
        if not passes(verdicts):
            await self._gates.withhold(key, draft.mail.id, at, verdicts)
            return None
        if composed.left_out:
            verdicts = (*verdicts, Gate(COPIES, "Pass", composed.left_out))
        way = self._way(draft.provider)
        self._intended.add(mail)
        intent = await self._intend(key, draft, at, verdicts)
        if intent is None:
            return None
        outcome = await self._hand_over(draft.provider, way, composed, intent.start_by)
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
        journey = await self._mails.journey(key, draft.mail.id)
        return journey.mail if journey else None

    def _way(self, provider: ProviderPlan) -> MailTransport | Deferred:
        """The way to the provider, or why there is none. Raises EmailFlowError for what is not there: that is
        to be known before an intent is written."""
        try:
            return self._transports.transport(provider)
        except EmailFlowError as error:
            if error.reason in ABSENT:
                raise
            return Deferred(error.reason, str(error), systemic=True)

    async def _hand_over(
        self, provider: ProviderPlan, transport: MailTransport | Deferred, composed: Composed, start_by: int
    ) -> Outcome:
        """Hand over by the intent's own deadlines: writing it may have taken long."""
        # In this order: a pause between the two makes it earlier, never later.
        now = asyncio.get_running_loop().time()
        left = (start_by - self._clock.now()) / SECOND
        if left <= 0:
            return Deferred("TooLate", "the intent took too long to write", systemic=True)
        latest = now + left
        if isinstance(transport, Deferred):
            return transport
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
