"""A provider in memory, and the way to it: accepts, defers, refuses, vanishes or hangs, as it is told."""

import asyncio
from typing import Any, Literal

from emailflow_runtime.app.ports import OutgoingMail
from emailflow_runtime.core.outcomes import Accepted, Deferred, Outcome, Refused, Unknown

Mood = Literal["accept", "defer", "refuse", "vanish", "hang"]


class Provider:
    """What it does with the next mails, and the mails that it has taken."""

    def __init__(self) -> None:
        self.mood: Mood = "accept"
        self.received: list[OutgoingMail] = []
        self.reached = asyncio.Event()
        """Set once a mail has come as far as the provider."""


class InMemoryTransport:
    """The port MailTransport."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._closed = False
        self._under_way: set[asyncio.Task[Any]] = set()

    async def hand_over(self, mail: OutgoingMail, *, start_by: float, give_up_at: float) -> Outcome:
        """See MailTransport."""
        if asyncio.get_running_loop().time() >= start_by:
            return Deferred("TooLate")
        if self._closed:
            return Deferred("TransportClosed")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is run by a task
        self._under_way.add(task)
        try:
            return await self._judged(mail, give_up_at)
        finally:
            self._under_way.discard(task)

    async def _judged(self, mail: OutgoingMail, give_up_at: float) -> Outcome:
        await asyncio.sleep(0)
        self._provider.reached.set()
        match self._provider.mood:
            case "accept":
                self._provider.received.append(mail)
                return Accepted("taken")
            case "defer":
                return Deferred("MessageDeferred", "later", 451, "4.3.0")
            case "refuse":
                return Refused("MessageRefused", "never", 554, "5.7.1")
            case "vanish":
                return Unknown("ConnectionLost")
            case "hang":
                try:
                    async with asyncio.timeout_at(give_up_at):
                        await asyncio.Event().wait()
                except TimeoutError:
                    pass
                return Unknown("TimedOut")

    async def check(self, *, give_up_at: float) -> Deferred | None:  # noqa: ARG002 - it answers at once
        """See MailTransport. `vanish` and `hang` are what a server does that can't be reached."""
        if self._provider.mood in {"vanish", "hang"}:
            return Deferred("ConnectFailed", "nothing listens there", systemic=True)
        return None

    async def close(self) -> None:
        """See MailTransport."""
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way)
