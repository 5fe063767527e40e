"""What things weigh, in bytes as they are stored and sent, near enough for bounds: never less by much.

Pure arithmetic. What the bounds are is for those to say who keep them.
"""

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
JOURNEY = 1_500
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
    match fact:
        case Entered():
            size += event_weight(fact.event)
        case Advanced() | Completed() | MailRequested():
            size += STEP * len(fact.path)
        case MailFailed():
            size += len(fact.message) + len(fact.reply)
        case MailAccepted():
            size += len(fact.reply) + len(fact.provider_id)
        case MailDeferred():
            size += len(fact.reply)
        case MailUnknown():
            size += len(fact.detail)
        case _:
            pass
    return size


def journey_weight(journey: Journey) -> int:
    """A journey, as a record holds it."""
    return JOURNEY + event_weight(journey.event) + STEP * len(journey.passes)
