"""What an enrolment keeps in memory of what is over: a bounded number of ended journeys, without their data,
and of hashes of events.

STATE holds every record until it expires, so nothing is lost here. It decides nothing.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import event_hash
from emailflow_runtime.core.journey import Enrolment, Journey

REMEMBERED_EVENTS = 4096
"""Hashes of events that a contact's companion message holds, the newest (DESIGN section 4, Identity)."""
ENDED = 64
"""Ended journeys of one enrolment that are kept in memory, the newest."""


def remember(enrolment: Enrolment, marks: Iterable[int]) -> None:
    """Add hashes of events that have counted; beyond the bound the oldest are forgotten."""
    seen = enrolment.seen
    seen.update(dict.fromkeys(marks))
    while len(seen) > REMEMBERED_EVENTS:
        del seen[next(iter(seen))]


def without_data(event: CloudEvent) -> CloudEvent:
    """As much of an event as tells which one it was."""
    return CloudEvent(id=event.id, source=event.source, type=event.type)


def ended(journey: Journey) -> Journey:
    """An ended journey as memory keeps it: its place is taken, its event can't come again."""
    return replace(journey, event=without_data(journey.event))


def take_in(enrolment: Enrolment, journey: Journey) -> None:
    """Add a journey that STATE holds."""
    enrolment.considered = max(enrolment.considered, journey.sequence)
    if not journey.finished:
        enrolment.journeys[journey.instance] = journey
    else:
        end(enrolment, journey)


def end(enrolment: Enrolment, journey: Journey) -> str:
    """Keep an ended journey as one; the instance of the one that has to go for it, if any. What that one
    remembered stays."""
    enrolment.journeys.pop(journey.instance, None)
    enrolment.journeys[journey.instance] = ended(journey)
    enrolment.ended.pop(journey.instance, None)
    enrolment.ended[journey.instance] = None
    if len(enrolment.ended) <= ENDED:
        return ""
    oldest = next(iter(enrolment.ended))
    forgotten = enrolment.journeys.pop(oldest)
    del enrolment.ended[oldest]
    remember(enrolment, (*forgotten.applied, event_hash(forgotten.event)))
    enrolment.partial = True
    return oldest
