"""Idle sessions with one provider: kept for the next mail, and closed politely when none comes.

It opens nothing and limits nothing; a session that is out belongs to whoever took it.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import NamedTuple

from emailflow_runtime.adapters.smtp.opening import Session
from emailflow_runtime.core.smtp.opening import quit_session

MAILS_PER_CONNECTION = 500
"""After so many mails a connection is replaced; servers and balancers in front of them like that."""
IDLE_AFTER = 30.0
"""Seconds without a mail. Servers wait longer (RFC 5321 section 4.5.3.2.7), balancers a minute."""
GOODBYE_WITHIN = 5.0
"""Seconds for QUIT and its answer."""


class _Idle(NamedTuple):
    session: Session
    mails: int
    since: float


class Pool:
    """The idle sessions; the one used last is taken first, so that those not needed become old."""

    def __init__(self, *, idle_after: float = IDLE_AFTER) -> None:
        self._idle_after = idle_after
        self._idle: deque[_Idle] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def take(self) -> tuple[Session, int] | None:
        """A session that seems to be alive, with the number of mails it has taken; None: open one."""
        while self._idle:
            idle = self._idle.pop()
            if idle.session.connection.open:
                return idle.session, idle.mails
        return None

    def give_back(self, session: Session, mails: int) -> None:
        """Keep a usable session that has taken `mails` mails."""
        if mails >= MAILS_PER_CONNECTION:
            self._dismiss(session)
            return
        loop = asyncio.get_running_loop()
        self._idle.append(_Idle(session, mails, loop.time()))
        if self._sweep is None:
            self._sweep = loop.call_later(self._idle_after, self._dismiss_old)

    async def close(self) -> None:
        """Say goodbye on all idle sessions."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._idle:
            self._dismiss(self._idle.pop().session)
        await asyncio.gather(*self._leaving)

    def _dismiss_old(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].since + self._idle_after <= loop.time():
            self._dismiss(self._idle.popleft().session)
        self._sweep = None
        if self._idle:
            self._sweep = loop.call_at(self._idle[0].since + self._idle_after, self._dismiss_old)

    def _dismiss(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(_say_goodbye(session))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _say_goodbye(session: Session) -> None:
    give_up_at = asyncio.get_running_loop().time() + GOODBYE_WITHIN
    await session.connection.converse(quit_session(), give_up_at=give_up_at)
    with suppress(TimeoutError):
        async with asyncio.timeout_at(give_up_at):
            await session.connection.close()
    session.connection.abort()
