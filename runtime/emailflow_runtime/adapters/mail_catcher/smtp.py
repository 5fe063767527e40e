"""The catcher's side of the SMTP conversation (RFC 5321), on aiosmtpd's protocol class.

It may answer 250 to DATA only for a mail that is stored, and it never logs an address.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from aiosmtpd.smtp import SMTP, Envelope, Session

from emailflow_runtime.adapters.mail_catcher.headers import readable
from emailflow_runtime.errors import Unavailable

SIZE_LIMIT = 25 * 1024 * 1024
"""Octets of one mail, announced as SIZE (RFC 1870); what large mailbox providers take."""

# aiosmtpd logs commands, and so addresses, at INFO.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class Keep(Protocol):
    """Stores a mail and returns its id; raises Unavailable when it can't."""

    async def __call__(self, source: bytes, *, return_path: str, recipients: Sequence[str]) -> str: ...


class Reception:
    """What the catcher answers, beyond what aiosmtpd knows by itself."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep

    async def handle_EHLO(  # noqa: N802 (aiosmtpd names its hooks after the commands)
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Announce what holds: commands may be sent ahead (RFC 2920)."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the mail, then take responsibility for it (RFC 5321 section 4.2.5)."""
        sender = "" if envelope.mail_from in (None, "<>") else readable(str(envelope.mail_from))
        recipients = [readable(address) for address in envelope.rcpt_tos]
        try:
            message_id = await self._keep(
                envelope.original_content or b"", return_path=sender, recipients=recipients
            )
        except Unavailable as error:
            return f"452 4.3.1 {error}"
        return f"250 2.0.0 stored as {message_id}"


class Conversation(SMTP):
    """One client's connection, known to the catcher while it lasts."""

    def __init__(self, reception: Reception, open_conversations: set["Conversation"]) -> None:
        super().__init__(
            reception,
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="localhost",
            ident="EmailFlow mail catcher",
            loop=asyncio.get_running_loop(),
        )
        self._open_conversations = open_conversations

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the connection, so that closing the catcher can end it."""
        super().connection_made(transport)
        self._open_conversations.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(error)
        self._open_conversations.discard(self)

    async def hang_up(self) -> None:
        """Say that the service closes (RFC 5321 section 3.8) and wait until the conversation has ended."""
        self._writer.write(b"421 4.3.2 the mail catcher closes\r\n")
        self._writer.close()
        if self._handler_coroutine is not None:
            await asyncio.wait({self._handler_coroutine})
