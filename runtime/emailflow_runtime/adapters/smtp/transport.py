"""SmtpTransport: hands mails over to one provider on a few connections that are kept and reused.

A connection that the server closed while it was idle is not the mail's trouble: the mail goes on a new one.
Rates are not kept here, and nothing is tried again once a server may have taken a mail.
"""

import asyncio
import contextlib

from emailflow_api import plans
from emailflow_runtime.adapters.smtp.opening import Opener, Session
from emailflow_runtime.adapters.smtp.pool import Pool
from emailflow_runtime.app.ports import OutgoingMail
from emailflow_runtime.core.outcomes import Deferred, Outcome
from emailflow_runtime.core.smtp.dialogue import CLOSING
from emailflow_runtime.core.smtp.errors import SessionFailed
from emailflow_runtime.core.smtp.transaction import Transaction

_TOO_LATE = Deferred("TooLate", "the time to start had passed")
_AT_ONCE = contextlib.nullcontext()
_CLOSED = Deferred("TransportClosed", "the provider's settings were replaced, or the process stops")


class SmtpTransport:
    """The port MailTransport for one provider."""

    def __init__(
        self, declared: plans.Smtp, *, password: bytes | None, ca: bytes | None, concurrency: int, hello: str
    ) -> None:
        """`ca` is PEM and replaces the system's authorities; `concurrency` the most connections at a time;
        `hello` the name for EHLO, empty: the machine's."""
        self._opener = Opener(declared, password=password, ca=ca, name=hello)
        self._pool = Pool()
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._closing = False
        self._goodbye = asyncio.Lock()

    async def hand_over(self, mail: OutgoingMail, *, start_by: float, give_up_at: float) -> Outcome:
        """See MailTransport."""
        try:
            # Mostly there is room, and nothing to wait for.
            async with asyncio.timeout_at(start_by) if self._slots.locked() else _AT_ONCE:
                await self._slots.acquire()
        except TimeoutError:
            return _TOO_LATE
        try:
            return await self._on_a_session(mail, start_by, give_up_at)
        except SessionFailed as error:
            return error.outcome
        finally:
            self._slots.release()

    async def check(self, *, give_up_at: float) -> Deferred | None:
        """See MailTransport. While every connection is busy there is nothing to find out."""
        if self._slots.locked() or self._closing:
            return None
        async with self._slots:
            try:
                session = await self._opener.open(give_up_at=give_up_at)
            except SessionFailed as error:
                return error.outcome
            self._pool.give_back(session, 0)
            return None

    async def close(self) -> None:
        """See MailTransport."""
        self._closing = True
        async with self._goodbye:
            for _ in range(self._concurrency):
                await self._slots.acquire()
            await self._pool.close()
            for _ in range(self._concurrency):
                self._slots.release()

    async def _on_a_session(self, mail: OutgoingMail, start_by: float, give_up_at: float) -> Outcome:
        loop = asyncio.get_running_loop()
        kept = self._pool.take()
        while True:
            if self._closing:
                return _CLOSED
            if loop.time() >= start_by:
                return _TOO_LATE
            session, mails = kept or (await self._opener.open(give_up_at=give_up_at), 0)
            outcome, gone = await self._transact(session, mails, mail, give_up_at)
            if kept is None or not gone:
                return outcome
            kept = None

    async def _transact(
        self, session: Session, mails: int, mail: OutgoingMail, give_up_at: float
    ) -> tuple[Outcome, bool]:
        """The outcome, and whether the server was gone before it could judge the mail."""
        transaction = Transaction(mail.envelope_sender, mail.recipients, mail.message, session.extensions)
        outcome = await session.connection.converse(transaction.run(), give_up_at=give_up_at)
        if transaction.usable and session.connection.open:
            self._pool.give_back(session, mails + 1)
            return outcome, False
        session.connection.abort()
        gone = isinstance(outcome, Deferred) and outcome.code in {0, CLOSING} and outcome.reason != "TimedOut"
        return outcome, gone
