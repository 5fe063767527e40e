"""What must be true where somebody floods a world: it is his own trouble, and the world's bounds hold."""

from collections import Counter

from tests.simulation.adversary import SOURCE

from emailflow_runtime.app.inhand import POISONED
from emailflow_runtime.core import facts as f

REASONS = ("TooLarge", "TooManyJourneys")
"""Of dead letters that his events become."""
UNLUCKY = "PoisonInput"
"""Of those that three owners had in hand when they were killed, where many are taken one by one."""
SOON = 5.0
"""Seconds within which others have their mails, although owners are killed; as without him
(`test_adversary`)."""
SOON_SHARED = 60.0
"""Where replicas share shards: a lease has to run out first."""


def is_due(letter):
    """Whether this dead letter is what has to become of the adversary's event."""
    unlucky = letter.reason == UNLUCKY and letter.message == POISONED
    return letter.event.source == SOURCE and (letter.reason in REASONS or unlucky)


def refused(story):
    """Who did not enter, by which event, since that is a dead letter."""
    letters = [(each, each.event) for each in story.world.broker.letters if is_due(each)]
    return {(each.origin.partition("_")[2], each.contact, event.source, event.id) for each, event in letters}


def others_are_served_soon(story):
    """Whoever asks for a mail in the middle of the last attack gets it."""
    soon = SOON_SHARED if story.world.features.replicas else SOON
    for probe, after in waits(story):
        if after is None or after > soon:
            story.found("somebody else waited for a mail of", probe.flow, after, "seconds:", probe.event.id)


def waits(story):
    """The probes, and how many seconds each waited for its mail; None: it never came."""
    taken = {}
    for each in story.world.office.taken:
        taken.setdefault(each.mail, each.at)
    journeys = {
        (story.flow[fact.journey], fact.event.source, fact.event.id): fact.journey
        for fact in story.of_kind(f.Entered)
    }
    mails = {fact.journey: fact.mail for fact in story.of_kind(f.MailRequested)}
    for probe in story.world.adversary.probes:
        journey = journeys.get((probe.flow, probe.event.source, probe.event.id))
        at = taken.get(mails.get(journey))
        yield probe, None if at is None else at - probe.at


def no_message_is_larger_than_nats_takes(story):
    for size, what in story.world.network.oversized:
        story.found("a message of", size, "bytes went to NATS:", what)


def memory_stays_in_bounds(story):
    for where, what in dict.fromkeys(story.world.adversary.beyond):
        story.found("memory held", what, "of", where)


def each_event_enters_once(story):
    entered = [(fact.flow, fact.event.source, fact.event.id) for fact in story.of_kind(f.Entered)]
    for each, count in Counter(entered).items():
        if count > 1:
            story.found("an event entered", count, "times:", each)


def every_event_is_done_with(story):
    """No consumer has anything left: each event was decided on, or is a dead letter."""
    for (name, shard), consumer in story.world.broker._consumers.items():
        standing = consumer.standing()
        if standing.pending or standing.floor < standing.delivered:
            story.found("events wait for", name, "on shard", shard, standing)


ORACLES = (
    others_are_served_soon,
    no_message_is_larger_than_nats_takes,
    memory_stays_in_bounds,
    each_event_enters_once,
    every_event_is_done_with,
)
