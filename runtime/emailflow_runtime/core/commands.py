"""Commands: what has to be done, in the imperative. `react` returns them, the machinery carries them out."""

from typing import TypeAlias

import msgspec

from emailflow_runtime.core.facts import Fact
from emailflow_runtime.core.journey import Journey


class RecordFact(msgspec.Struct, frozen=True):
    """Store the journey at `instance` with the fact folded into it, and publish the fact.

    `journey` is what `evolve` made of it, so that nobody folds it again.
    """

    instance: str
    fact: Fact
    journey: Journey


class ArmTimer(msgspec.Struct, frozen=True):
    """Let `TimerFired` come for the journey at `instance` at `at` (nanoseconds since 1970 UTC).

    Nobody disarms a timer: one that comes when its journey has moved on finds nothing to do.
    """

    instance: str
    at: int


class SendMail(msgspec.Struct, frozen=True):
    """Let the sender take care of the mail that the journey at `instance` stands at."""

    instance: str
    mail: str


class KeepDeadLetter(msgspec.Struct, frozen=True):
    """The event that started the journey at `instance`, or arrived, could not be handled: keep it."""

    reason: str
    message: str
    instance: str = ""
    step: str = ""
    """The step whose mail could not be made, if it was that."""


class IgnoreEvent(msgspec.Struct, frozen=True):
    """The event counted, but changes nothing now; a repeat of it must not do so later either."""

    event_hash: int


Command: TypeAlias = RecordFact | IgnoreEvent | ArmTimer | SendMail | KeepDeadLetter
