"""What memory may hold of one contact at any moment, checked from outside."""

from tests.simulation import limits

from emailflow_runtime.app.desk import UNTOLD
from emailflow_runtime.core.remembering import REMEMBERED_EVENTS
from emailflow_runtime.core.weights import journey_weight

ONE_MORE = limits.LARGEST
"""What is told of one event may be that much more than there was room for."""
STEPS = 10_000
"""What open journeys gain by going on."""


def beyond(shard):
    """Which bounds this shard's memory has left behind, in words."""
    found = []
    enrolments, contacts = shard._desk._enrolments, shard._desk._contacts
    idle = [entry.cost for entry in enrolments._entries.values() if entry.idle]
    # The one that is used at the moment stays, whatever it weighs.
    if sum(idle) - max(idle, default=0) > limits.SMALL[limits.ENROLMENTS] * 1.1:
        found.append(("enrolments", f"{sum(idle)} bytes that may go"))
    if enrolments._bytes != sum(entry.counted for entry in enrolments._entries.values()):
        found.append(("enrolments", "more or less than it has counted"))
    written = [weight for key, weight in contacts._weights.items() if key not in contacts._writing]
    if sum(written) - max(written, default=0) > limits.SMALL[limits.CONTACTS]:
        found.append(("contacts", f"{sum(written)} bytes that may go"))
    for key, entry in enrolments._entries.items():
        found += [(key, what) for what in _of_entry(entry)]
    if len(shard._reading._last) > limits.SMALL[limits.TYPES]:
        found.append(("types", f"{len(shard._reading._last)} names"))
    return found


def _of_entry(entry):
    enrolment = entry.enrolment
    ended = [each for each in enrolment.journeys.values() if each.finished]
    open_ = [each for each in enrolment.journeys.values() if not each.finished]
    weight = sum(map(journey_weight, open_))
    if len(open_) > limits.SMALL[limits.OPEN_JOURNEYS]:
        yield f"{len(open_)} open journeys"
    if weight > limits.SMALL[limits.OPEN_BYTES] + STEPS:
        yield f"open journeys of {weight} bytes"
    if len(enrolment.ended) > limits.SMALL[limits.ENDED]:
        yield f"{len(enrolment.ended)} ended journeys"
    if any(each.event.data for each in ended):
        yield "data of an ended journey"
    if len(enrolment.seen) > REMEMBERED_EVENTS:
        yield f"{len(enrolment.seen)} marks"
    if entry.untold > min(UNTOLD, limits.LARGEST // 4) + ONE_MORE:
        yield f"facts of {entry.untold} bytes that are not told"
