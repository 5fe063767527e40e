"""Before anything of a reaction is carried out: whether what it stores and tells can be stored and told.

What is too large for one message would be refused for ever, so the event that asks for it is a dead letter,
with nothing of it in any journey. It changes nothing by itself.
"""

from collections.abc import Sequence

from emailflow_runtime.app.enrolments import Entry
from emailflow_runtime.core.cloudevents import json_format
from emailflow_runtime.core.commands import Command, KeepDeadLetter, RecordFact
from emailflow_runtime.core.facts import Entered
from emailflow_runtime.core.inputs import EventArrived, Input
from emailflow_runtime.core.journey import Record, encode_record
from emailflow_runtime.core.weights import event_weight, fact_weight
from emailflow_runtime.errors import MessageTooLarge

ENVELOPE = 65_536
"""Bytes that the headers of a message may take: what JetStream takes, and more than all attributes may."""
ESCAPED = 8
"""A character may take six bytes as JSON, in which a fact is told."""
OPEN_JOURNEYS = 10_000
"""Journeys that one contact may have open in one flow: each event about it is held against all of them."""
OPEN_BYTES = 32 << 20
"""What they may weigh together: they are in memory together."""


def fitting(entry: Entry, commands: Sequence[Command], arrived: Input, largest: int) -> Sequence[Command]:
    """The commands that can be carried out; `largest` is what one message may have, in bytes.

    Of an event, what would not fit at one place gives way to a dead letter. Raises MessageTooLarge for what
    follows from another input.
    """
    weight, heaviest = entry.untold + entry.weight, 0
    for command in commands:
        if type(command) is RecordFact:
            load = fact_weight(command.fact)
            weight, heaviest = weight + load, max(heaviest, load)
    small = weight <= largest // 2 and heaviest <= largest // ESCAPED
    if small and len(entry.enrolment.journeys) < OPEN_JOURNEYS:
        # Nothing that there is could be too much: it is so nearly always.
        return commands
    facts = [command for command in commands if isinstance(command, RecordFact)]
    refused = {**_oversized(entry, facts, largest), **_crowded(entry, facts)}
    if not refused:
        return commands
    if not isinstance(arrived, EventArrived):
        raise MessageTooLarge(next(iter(refused.values())).message)
    kept = [each for each in commands if getattr(each, "instance", None) not in refused]
    return [*kept, *refused.values()]


def _crowded(entry: Entry, facts: Sequence[RecordFact]) -> dict[str, KeepDeadLetter]:
    """The places of those who enter although there is no room for more."""
    enrolment = entry.enrolment
    refused: dict[str, KeepDeadLetter] = {}
    for command in facts:
        if not isinstance(command.fact, Entered):
            continue
        before = enrolment.journeys.get(command.instance)
        if before is not None and not before.finished:
            continue
        count = len(enrolment.journeys) - len(enrolment.ended)
        if count >= OPEN_JOURNEYS or entry.weight + event_weight(command.fact.event) > OPEN_BYTES:
            expected = f"expected less than {OPEN_JOURNEYS} of one contact, and {OPEN_BYTES} bytes together"
            refused[command.instance] = KeepDeadLetter("TooManyJourneys", f"journeys: {expected}")
    return refused


def _oversized(entry: Entry, facts: Sequence[RecordFact], largest: int) -> dict[str, KeepDeadLetter]:
    """The places whose record, or a fact of it, would be more than one message."""
    refused: dict[str, KeepDeadLetter] = {}
    for instance in dict.fromkeys(command.instance for command in facts):
        mine = [command for command in facts if command.instance == instance]
        told = (*entry.unpublished.get(instance, ()), *(command.fact for command in mine))
        size = len(encode_record(Record(mine[-1].journey, told)))
        for command in mine:
            if isinstance(command.fact, Entered):
                size = max(size, len(json_format.encode(command.fact.event)))
        if size + ENVELOPE > largest:
            message = f"expected at most {largest - ENVELOPE} bytes of a journey or a fact, got {size}"
            refused[instance] = KeepDeadLetter("TooLarge", message)
    return refused
