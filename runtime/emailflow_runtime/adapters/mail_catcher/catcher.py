"""The mail catcher as a whole: an inbox on disk with an SMTP server in front of it.

It listens on loopback only, and it never sends a mail on.
"""

import asyncio
import ipaddress
from pathlib import Path

from emailflow_runtime.adapters.mail_catcher.smtp import Conversation, Reception
from emailflow_runtime.adapters.mail_catcher.store import MessageStore
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.errors import EmailFlowError


class NotLoopback(EmailFlowError):
    """The catcher takes mail without asking who sends it, so it is for this machine only."""

    reason = "NotLoopback"


class PortInUse(EmailFlowError):
    """Somebody else listens there already."""

    reason = "PortInUse"


class MailCatcher(MessageStore):
    """Catches mail; implements the port `Inbox`. Belongs to one event loop and one process."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        super().__init__(folder, clock=clock)
        self._server: asyncio.Server | None = None
        self._conversations: set[Conversation] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 1025) -> int:
        """Listen, and return the port (0: a free one is chosen).

        Raises NotLoopback and PortInUse.
        """
        if not ipaddress.ip_address(host).is_loopback:
            raise NotLoopback(f"SMTP host: {host} is not a loopback address (expected 127.0.0.1 or ::1)")
        reception = Reception(self.add)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: Conversation(reception, self._conversations), host, port, backlog=1024
            )
        except OSError as error:
            raise PortInUse(
                f"SMTP port: can't listen on {host}:{port}: {error} (0 picks a free port)"
            ) from error
        chosen: int = self._server.sockets[0].getsockname()[1]
        return chosen

    async def close(self) -> None:
        """Answer for what has arrived, hang up, close the inbox."""
        if self._server is not None:
            self._server.close()
        self._commit()
        await asyncio.sleep(0)  # the replies to what was just stored go out first
        for conversation in list(self._conversations):
            await conversation.hang_up()
        await super().close()
