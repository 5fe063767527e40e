"""What things weigh, in bytes as they are stored and sent, near enough for bounds: never less by much.

Pure arithmetic. What the bounds are is for those to say who keep them.
"""

from collections.abc import Callable
from typing import Any

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import (
    Advanced,
    Completed,
    Entered,
    Fact,
    MailAccepted,
    MailDeferred,
    MailFailed,
    MailRequested,
    MailUnknown,
)
from emailflow_runtime.core.journey import Journey

FACT = 600
"""A fact without what is counted below: names, numbers, gates."""
JOURNEY = 2_500
"""A journey without its event."""
STEP = 66
"""A step of a path: its name, at most."""
MARK = 9
"""The hash of an event."""


def event_weight(event: CloudEvent) -> int:
    """An event as a message holds it."""
    size = len(event.data or b"") + len(event.id) + len(event.source) + len(event.type) + 200
    if event.subject is not None:
        size += len(event.subject)
    if event.extensions:
        size += sum([len(name) + len(str(value)) + 8 for name, value in event.extensions.items()])
    return size


def fact_weight(fact: Fact) -> int:
    """A fact, in a record or in the log."""
    size = FACT + MARK * len(fact.applied)
    more = _MORE.get(type(fact))
    return size + more(fact) if more is not None else size


_MORE: dict[type[Fact], Callable[[Any], int]] = {
    Entered: lambda fact: event_weight(fact.event),
    Advanced: lambda fact: STEP * len(fact.path),
    Completed: lambda fact: STEP * len(fact.path),
    MailRequested: lambda fact: STEP * len(fact.path),
    MailFailed: lambda fact: len(fact.message) + len(fact.reply),
    MailAccepted: lambda fact: len(fact.reply) + len(fact.provider_id),
    MailDeferred: lambda fact: len(fact.reply),
    MailUnknown: lambda fact: len(fact.detail),
}
"""By type of fact, what may be long in it. By a table, since every fact is weighed."""


def journey_weight(journey: Journey) -> int:
    """An open journey, as a record holds it; an ended one is not in memory but for its name."""
    return 0 if journey.finished else JOURNEY + event_weight(journey.event)


def gained(before: Journey | None, after: Journey) -> int:
    """By how much a journey weighs more than the one before it at its place."""
    if before is not None and before.event is after.event and before.finished == after.finished:
        return 0
    return journey_weight(after) - (journey_weight(before) if before is not None else 0)
