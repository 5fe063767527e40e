"""A mail catcher on a free port, and mails to send to it."""

import asyncio
import email.policy
import smtplib
import time
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import pytest

from emailflow_runtime.adapters.mail_catcher import MailCatcher

Result = TypeVar("Result")


class Now:
    """The port `Clock`."""

    def now(self) -> int:
        return time.time_ns()


class Running:
    """A catcher that listens, and a client for it: each conversation runs in a thread of its own."""

    def __init__(self, catcher: MailCatcher, port: int) -> None:
        self.catcher = catcher
        self.port = port

    async def talk(self, conversation: Callable[[smtplib.SMTP], Result]) -> Result:
        """Connect, talk, and hang up."""

        def connected() -> Result:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as client:
                return conversation(client)

        return await asyncio.to_thread(connected)


@pytest.fixture
def clock() -> Now:
    return Now()


@pytest.fixture
async def running(tmp_path: Path, clock: Now) -> AsyncIterator[Running]:
    catcher = MailCatcher(tmp_path / "mails", clock=clock)
    yield Running(catcher, await catcher.start("127.0.0.1", 0))
    await catcher.close()


@pytest.fixture
def mail() -> EmailMessage:
    mail = EmailMessage(policy=email.policy.SMTP)
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", "ana@example.com", "Your cart"
    mail.set_content("Still there.\n.\n..and dots\n")
    return mail
