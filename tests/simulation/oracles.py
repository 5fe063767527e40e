"""What must be true of a world in the end, whatever happened in it. Each oracle names what it found."""

from collections import defaultdict

from msgspec.structs import replace
from tests.simulation import adversary_oracles, change_oracles, floods, flows, revisions
from tests.simulation.world import SUPPRESSED

from emailflow_api import plans as p
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.commands import IgnoreEvent, RecordFact
from emailflow_runtime.core.consent import read_consent
from emailflow_runtime.core.contact import Contact
from emailflow_runtime.core.evolve import evolve, fold
from emailflow_runtime.core.identity import contact_key, normalize_address
from emailflow_runtime.core.inputs import EventArrived
from emailflow_runtime.core.journey import Enrolment
from emailflow_runtime.core.program import CompiledProgram
from emailflow_runtime.core.publication import read_fact
from emailflow_runtime.core.reactions.course import Setting
from emailflow_runtime.core.reactions.react import react

PLANS = flows.plans(flooded=True)
TYPES = {**revisions.TYPES, **floods.TYPES}
PROGRAMS = {
    **revisions.COMPILED,
    **{p.content_hash(each): CompiledProgram(each) for each in floods.PROGRAMS.values()},
}
SETTLED = (f.MailAccepted, f.MailSkipped, f.MailFailed, f.MailUnknown)


class Story:
    """The log as a reader sees it: events in order, facts once each, by journey."""

    def __init__(self, world):
        self.world = world
        self.entries = [(m.sequence, m.at, m.content) for m in world.broker.events.messages]
        self.problems = []
        self.facts = defaultdict(list)
        """By journey, in the order of the log, repeats left out."""
        self.flow = {}
        """By journey, the name of its flow."""
        self._read()

    def _read(self):
        known = {}
        for _, _, entry in self.entries:
            fact = read_fact(entry.event) if "/flows/" in entry.event.source else None
            if fact is None:
                continue
            name = (entry.event.source, entry.event.id)
            if name in known:
                if known[name] != entry.event.data:
                    self.found("a fact was told twice, and differently", name)
                continue
            known[name] = entry.event.data
            self.facts[fact.journey].append(fact)
            self.flow[fact.journey] = entry.event.source.rpartition("/")[2]

    def found(self, *what):
        """Something is wrong."""
        self.problems.append(" ".join(map(str, what)))

    def of_kind(self, *kinds):
        """All facts of these kinds."""
        return [fact for facts in self.facts.values() for fact in facts if isinstance(fact, kinds)]


def every_accepted_event_is_in_the_log(story):
    stored = {(entry.event.source, entry.event.id) for _, _, entry in story.entries}
    for event in story.world.accepted:
        if (event.source, event.id) not in stored:
            story.found("an accepted event is not in the log:", event.id)


def facts_are_told_in_order_and_without_gaps(story):
    for journey, told in story.facts.items():
        numbers = [fact.number for fact in told]
        if numbers != list(range(1, len(told) + 1)):
            story.found("facts of", journey, "stand in the log as", numbers)


def folding_the_log_gives_the_records(story):
    states = story.world.broker.states
    for _, put in (each for state in states for each in state.records()):
        stored = put.record.journey
        folded = fold(story.facts[stored.id])
        if folded != stored:
            story.found("the log and the record differ:", stored.id, *_differences(folded, stored))


def _differences(told, kept):
    if told is None:
        return ["the log tells nothing"]
    pairs = ((name, getattr(told, name), getattr(kept, name)) for name in kept.__struct_fields__)
    return [f"{name}: {one!r}, {other!r};" for name, one, other in pairs if one != other]


def every_journey_has_ended(story):
    for name, told in story.facts.items():
        journey = fold(told)
        if journey is None or not journey.finished:
            story.found("a", story.flow[name], "journey is stuck at", told[-1])


def every_requested_mail_is_settled(story):
    settled = {fact.mail for fact in story.of_kind(*SETTLED)}
    for fact in story.of_kind(f.MailRequested):
        if fact.mail not in settled:
            story.found("a mail was requested and never settled:", fact)


def one_intent_is_one_mail(story):
    """At most one mail reaches a person; more only where its outcome was unknown and the provider's
    declared policy is to send again."""
    taken = defaultdict(int)
    for each in story.world.office.taken:
        taken[each.mail] += 1
    unknown = defaultdict(int)
    for fact in story.of_kind(f.MailUnknown):
        unknown[fact.mail] += fact.provider == "again"
    for mail, count in taken.items():
        if count > 1 + unknown[mail]:
            story.found("a mail was sent", count, "times:", mail, "unknown", unknown[mail], "times")


def every_mail_sent_is_told(story):
    told = {fact.mail for fact in story.of_kind(f.MailAccepted, f.MailUnknown)}
    intended = {fact.mail for fact in story.of_kind(f.MailAttempted)}
    for each in story.world.office.taken:
        if each.mail not in intended:
            story.found("a mail was sent without an intent in the log:", each.mail)
        if each.mail not in told:
            story.found("a mail was sent that the log tells nothing of:", each.mail)


def what_is_said_to_be_accepted_was_sent(story):
    taken = {each.mail for each in story.world.office.taken}
    for fact in story.of_kind(f.MailAccepted):
        if fact.mail not in taken:
            story.found("a mail counts as accepted that nobody got:", fact.mail)


def nobody_is_mailed_who_has_left(story):
    """Neither who was suppressed before, nor, under the topic, who unsubscribed before the request."""
    left = {}
    for _, at, entry in story.entries:
        said = read_consent(entry.event)
        if said is not None and not said.subscribed:
            left.setdefault((said.address, said.topic), at)
    flow_of = {fact.mail: story.flow[fact.journey] for fact in story.of_kind(f.MailRequested)}
    for each in story.world.office.taken:
        flow = flow_of.get(each.mail, "")
        topic = flows.POLICY.get(flow, "offers")
        if topic == "orders":
            continue
        address = contact_key("address", normalize_address(each.to[0]))
        requested = story.world.network.requested[each.mail]
        if each.to[0] == SUPPRESSED:
            story.found("somebody suppressed was mailed by", flow)
        if left.get((address, topic), requested) < requested:
            story.found("somebody who had left was mailed by", flow, each.mail)


def no_owner_failed(story):
    for failure in story.world.failures:
        story.found("an owner ended with", failure)


def each_epoch_has_one_writer(story):
    for epoch, sequence in story.world.network.strangers:
        story.found("somebody else wrote in epoch", epoch, "at", sequence)


def every_shard_has_one_owner_in_the_end(story):
    """For shards that replicas share: one that decides, and nobody else who believes so. Whether its epoch is
    still its own, it may have to find out by the next input."""
    world = story.world
    if not world.features.replicas:
        return
    replicas = [each for each in world.owners if each.running]
    for index in range(world.features.shards):
        believing = [each for each in replicas if index in each.owned]
        if len(believing) != 1:
            story.found("shard", index, "is owned in the end by", [each.name for each in believing])


def shards_are_shared_evenly_in_the_end(story):
    """Nobody owns two more than anybody else."""
    if not story.world.features.replicas:
        return
    counts = {each.name: len(each.owned) for each in story.world.owners if each.running}
    if max(counts.values()) - min(counts.values()) > 1:
        story.found("shards are shared unevenly:", counts)


def nothing_was_given_up(story):
    for letter in story.world.broker.letters:
        if adversary_oracles.is_due(letter):
            continue
        story.found("a dead letter:", letter.reason, letter.message)


def journeys_are_those_of_a_serial_run(story):
    """For flows that depend on the order of the log only: who entered, and how it ended."""
    entries, results = serial(story)
    entered = {(story.flow[fact.journey], *_entry(fact)) for fact in story.of_kind(f.Entered)}
    for each in entries - entered - adversary_oracles.refused(story):
        story.found("a journey is missing:", each)
    for each in entered - entries:
        if each[0] in _steady(story):
            story.found("a journey should not be:", each)
    for journey, result in results.items():
        ended = fold(story.facts.get(journey, ()))
        if ended is not None and ended.result != result:
            story.found("a", ended.flow, "journey ended as", ended.result, "expected", result)


def _steady(story):
    """The flows that people enter by the order of the log alone."""
    flooded = floods.PROGRAMS if story.world.features.adversary else ()
    names = (*flows.ENTERED_IN_ORDER, *flooded)
    return [name for name in names if name not in story.world.changes.unsteady]


def _entry(fact):
    return fact.contact, fact.event.source, fact.event.id


def serial(story):
    """Who enters which flow by which event, and by journey its result, when every event is decided at
    once, in the order of the log: on the revision on which he did enter."""
    entered = {(story.flow[fact.journey], *_entry(fact)): fact.revision for fact in story.of_kind(f.Entered)}
    entries, results = set(), {}
    for name in _steady(story):
        first, types = PLANS.flows[f"shop/{name}"], TYPES[name]
        enrolments = {}
        for sequence, at, entry in story.entries:
            if not entry.contact or entry.event.type not in types:
                continue
            key = (name, entry.contact, entry.event.source, entry.event.id)
            plan = replace(first, revision=entered.get(key, first.revision))
            setting = Setting(flow=plan, programs=PROGRAMS, contact=Contact(entry.contact))
            enrolment = enrolments.setdefault(entry.contact, Enrolment(first.id, entry.contact))
            arrived = EventArrived(at=at, event=entry.event, sequence=sequence)
            for fact in _apply(enrolment, react(setting, enrolment, arrived)):
                if isinstance(fact, f.Entered):
                    entries.add((name, *_entry(fact)))
            enrolment.considered = sequence
        if name in flows.IN_ORDER:
            journeys = [each for enrolment in enrolments.values() for each in enrolment.journeys.values()]
            results.update((journey.id, journey.result or "Completed") for journey in journeys)
    return entries, results


def _apply(enrolment, commands):
    facts = [command.fact for command in commands if isinstance(command, RecordFact)]
    for command in commands:
        if isinstance(command, IgnoreEvent):
            enrolment.seen[command.event_hash] = None
        if isinstance(command, RecordFact):
            after = evolve(enrolment.journeys.get(command.instance), command.fact)
            enrolment.journeys[command.instance] = after
            enrolment.seen.update(dict.fromkeys(command.fact.applied))
    return facts


ORACLES = (
    every_accepted_event_is_in_the_log,
    facts_are_told_in_order_and_without_gaps,
    folding_the_log_gives_the_records,
    every_journey_has_ended,
    every_requested_mail_is_settled,
    one_intent_is_one_mail,
    every_mail_sent_is_told,
    what_is_said_to_be_accepted_was_sent,
    nobody_is_mailed_who_has_left,
    no_owner_failed,
    each_epoch_has_one_writer,
    every_shard_has_one_owner_in_the_end,
    shards_are_shared_evenly_in_the_end,
    nothing_was_given_up,
    journeys_are_those_of_a_serial_run,
)


def problems(world):
    """Everything that is wrong with this world, in words; empty: nothing."""
    story = Story(world)
    changed = change_oracles.ORACLES if world.features.changes else ()
    flooded = adversary_oracles.ORACLES if world.features.adversary else ()
    for oracle in (*ORACLES, *changed, *flooded):
        oracle(story)
    return story.problems
