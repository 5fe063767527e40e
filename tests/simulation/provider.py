"""Mail providers that do what providers do: take a mail and say so, or don't say so, or don't take it.

What was taken is the truth that the oracles compare the log with.
"""

import asyncio
import re
from typing import NamedTuple

from emailflow_runtime.core.outcomes import Accepted, Deferred, Refused, Unknown

KINDS = {
    "accept": 70,
    "defer": 8,
    "refuse": 4,
    "accept and vanish": 5,
    "vanish": 4,
    "not reached": 4,
    "accept and hang": 3,
    "hang": 2,
}
_UNSUBSCRIBE = re.compile(rb"/l/([A-Za-z0-9_=-]+)>")


class Taken(NamedTuple):
    """A mail that a provider has taken: when (seconds), whom it is for, its bytes."""

    at: float
    mail: str
    to: tuple[str, ...]
    message: bytes

    @property
    def unsubscribe_token(self):
        """The token in List-Unsubscribe, empty when the mail has none."""
        found = _UNSUBSCRIBE.search(self.message.replace(b"\r\n ", b""))
        return found[1].decode() if found else ""


class PostOffice:
    """Every provider of a world. `taken` is what the world's people find in their inboxes."""

    def __init__(self, network):
        self.taken = []
        self.at_once = 0
        self.most_at_once = 0
        self._network = network

    def draw(self):
        """What happens to the next mail."""
        if self._network.calm:
            return "accept"
        return self._network.random.choices(list(KINDS), list(KINDS.values()))[0]

    def take(self, mail):
        """It is in somebody's inbox."""
        self._network.note("taken", mail.id, mail.recipients)
        self.taken.append(Taken(asyncio.get_running_loop().time(), mail.id, mail.recipients, mail.message))


class Transport:
    """The port MailTransport."""

    def __init__(self, office, network):
        self._office = office
        self._network = network

    async def hand_over(self, mail, *, start_by, give_up_at):
        loop = asyncio.get_running_loop()
        if loop.time() >= start_by:
            return Deferred("TooLate", systemic=True)
        answer = loop.create_future()
        kind = self._office.draw()
        self._office.at_once += 1
        self._office.most_at_once = max(self._office.most_at_once, self._office.at_once)
        loop.call_later(self._network.lag(), self._arrive, mail, kind, answer, context=self._network.world)
        self._network.pass_by()
        try:
            async with asyncio.timeout_at(give_up_at):
                return await answer
        except TimeoutError:
            return Unknown("TimedOut")
        finally:
            self._office.at_once -= 1
            self._network.pass_by()

    def _arrive(self, mail, kind, answer):
        if self._network.closed:
            return
        if kind.startswith("accept"):
            self._office.take(mail)
        outcome = _answer(kind)
        if outcome is not None:
            asyncio.get_running_loop().call_later(self._network.lag(), _give, answer, outcome)

    async def close(self):
        pass


def _answer(kind):
    match kind:
        case "accept":
            return Accepted("250 taken")
        case "defer":
            return Deferred("MessageDeferred", "later", 451, "4.3.0")
        case "refuse":
            return Refused("MessageRefused", "never", 554, "5.7.1")
        case "not reached":
            return Deferred("ConnectFailed", systemic=True)
        case "accept and vanish" | "vanish":
            return Unknown("ConnectionLost")
    return None


def _give(answer, outcome):
    if not answer.done():
        answer.set_result(outcome)


class Transports:
    """The ways out, by provider."""

    def __init__(self, office, network):
        self._transport = Transport(office, network)

    def transport(self, provider):
        return self._transport

    def signer(self, provider):
        return None
