"""What must be true where what is applied changed meanwhile: of revisions, suspensions, deletions.

Judged by what each owner knew when: nobody can go by a plan that it has not heard of.
"""

from itertools import pairwise

from tests.simulation import flows, revisions

from emailflow_api import plans as p
from emailflow_api.expressions import bind
from emailflow_api.plans.entries import from_entries
from emailflow_api.reports import read_reports
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.contact import Contact, event_view
from emailflow_runtime.core.evolve import evolve
from emailflow_runtime.core.reactions.course import Setting, bindings

SECOND = 1_000_000_000
SKEW = 3 * SECOND
"""Clocks differ by less."""
CONCURRENT = ("receipt", "thanks")


def entries_are_on_revisions_in_force(story):
    """In force for the owner that stored the entry, at some moment since the event arrived."""
    owners = {each.name: each for each in story.world.owners}
    arrived = {(entry.event.source, entry.event.id): at for _, at, entry in reversed(story.entries)}
    for fact in story.of_kind(f.Entered):
        stored, process = story.world.network.stored[fact.journey]
        since = arrived[fact.event.source, fact.event.id]
        plans = owners[process].catalog.between(since, stored)
        there = [_flow(each, fact.flow) for each in plans]
        open_ = {flow.revision for flow in there if flow is not None and not flow.deleted}
        if fact.revision not in open_:
            story.found("a", fact.flow, "journey entered on a revision that was not in force:", fact.journey)


def _flow(plans, flow):
    """The plan of a flow (id)."""
    return plans.flows.get(flow.replace("_", "/", 1))


def what_is_suspended_stands_still(story):
    """As far as whoever decides knows."""
    for each in story.world.decided:
        held = [each.plans.runtime, _flow(each.plans, each.flow)]
        if isinstance(each.fact, f.MailAttempted):
            held.append(each.plans.providers[each.fact.provider])
        elif not isinstance(each.fact, f.Entered):
            continue
        if any(plan is not None and plan.suspend for plan in held):
            story.found("while it was suspended,", each.flow, "went on with", type(each.fact).__name__)


def nobody_enters_what_is_deleted(story):
    for each in story.world.decided:
        plan = _flow(each.plans, each.flow)
        if isinstance(each.fact, f.Entered) and (plan is None or plan.deleted):
            story.found("somebody entered the flow", each.flow, "which is deleted:", each.fact.journey)


def journeys_go_the_way_of_their_revision(story):
    """From its first step on, each step is one that the step before leads to in the same revision."""
    for journey, told in story.facts.items():
        program = revisions.BY_REVISION[told[0].revision]
        ways = {step.name: _ways(step) for step in program.steps}
        allowed = {program.steps[0].name}
        for fact in told:
            for step in getattr(fact, "path", ()):
                if step not in allowed:
                    story.found("a", story.flow[journey], "journey left its revision for the step", step)
                allowed = ways.get(step, set())
            if isinstance(fact, f.Exited) and fact.reason == "StepGone":
                story.found("a", story.flow[journey], "journey has lost its step", journey)


def _ways(step):
    if isinstance(step, p.Branch):
        return {step.next, *(case.then for case in step.cases)}
    return set() if isinstance(step, p.End) else {step.next}


def mails_are_those_of_their_revision(story):
    """What a mail says of its step is what its journey asked for."""
    steps = {fact.mail: fact.path[-1] for fact in story.of_kind(f.MailRequested)}
    for each in story.world.office.taken:
        if each.mail in steps and f">{steps[each.mail]}<".encode() not in each.message:
            story.found("a mail of the step", steps[each.mail], "was made of another one")


def no_exit_is_overtaken(story):
    """A wait that ended after an accepted exit of the journey's own revision led nowhere but out, if the exit
    came when that revision was known: a consumer may have passed by what nobody waited for."""
    by_contact = {}
    for place in story.entries:
        by_contact.setdefault(place[2].contact, []).append(place)
    for told in story.facts.values():
        exits = revisions.COMPILED[told[0].revision].exits
        since = _known_since(story, told[0]) if exits else 0
        at = _exit_at(exits, told, since, by_contact.get(told[0].contact, ())) if exits else None
        for fact, following in pairwise(told) if at is not None else ():
            over = isinstance(fact, f.Advanced) and fact.path and fact.wake_at > at + SKEW
            early = isinstance(following, f.Advanced) and not following.path
            if over and not early and not isinstance(following, f.Exited):
                story.found("an exit was overtaken by", following)


def _known_since(story, entry):
    """Since when the owner that let this one in has known the revision."""
    since, process = story.world.network.stored[entry.journey]
    catalog = next(each.catalog for each in story.world.owners if each.name == process)
    for begin, plans in reversed([each for each in catalog.views if each[0] <= since]):
        flow = _flow(plans, entry.flow)
        if flow is None or entry.revision not in {flow.revision, *flow.earlier}:
            break
        since = begin
    return since


def _exit_at(exits, told, since, entries):
    """When the first event came in, since then, that takes this journey out."""
    journey = evolve(None, told[0])
    setting = Setting(
        flow=_flow(flows.plans(), journey.flow), programs=revisions.COMPILED, contact=Contact(journey.contact)
    )
    seen = set()
    for sequence, at, entry in entries:
        name = (entry.event.source, entry.event.id)
        again = name in seen  # a repeat may have counted before
        seen.add(name)
        if sequence <= journey.sequence or at < since or again:
            continue
        if any(entry.event.type in each.types for each in exits):
            values = bindings(setting, journey, at, entry.event)
            if any(each.matches(entry.event, values) for each in exits):
                return at
    return None


def whom_every_revision_lets_in_has_entered(story):
    """Where one may enter again and again: who came when all that anybody knew from then on let him in."""
    told = story.of_kind(f.Entered)
    entered = {(story.flow[fact.journey], fact.event.source, fact.event.id) for fact in told}
    owners = [each for each in story.world.owners if each.catalog is not None]
    for _, at, entry in story.entries:
        for name in CONCURRENT:
            if not entry.contact or (name, entry.event.source, entry.event.id) in entered:
                continue
            plans = [plans for each in owners for plans in each.catalog.between(at, each.decided_until)]
            if all(_lets_in(each.flows.get(f"shop/{name}"), entry) for each in plans):
                story.found("nobody entered", name, "by", entry.event.id)


def _lets_in(flow, entry):
    if flow is None or flow.deleted:
        return False
    values = bind(event=event_view(entry.event), contact=Contact(entry.contact).view(), now=0)
    return revisions.COMPILED[flow.revision].admits(entry.event, values)


def what_is_applied_is_in_force_in_the_end(story):
    """PLANS holds what is applied and nothing that nobody needs any more, and owners have acknowledged it."""
    world = story.world
    plans, applied = from_entries(world.plans.values), world.applied.plans()
    for part in applied.__struct_fields__:
        if getattr(plans, part) != getattr(applied, part):
            story.found("PLANS differs in the end in its", part)
    for owner in world.owners:
        if owner.running and owner.catalog.plans != plans:
            story.found(owner.name, "does not go by PLANS in the end")
    reports = read_reports(world.reports.values)
    for name, flow in plans.flows.items():
        spoken = {each.plan for each in reports.get(flow.id, {}).values()}
        if spoken != {p.content_hash(flow)}:
            story.found("the plan of", name, "is not acknowledged in the end")


ORACLES = (
    entries_are_on_revisions_in_force,
    what_is_suspended_stands_still,
    nobody_enters_what_is_deleted,
    journeys_go_the_way_of_their_revision,
    mails_are_those_of_their_revision,
    no_exit_is_overtaken,
    whom_every_revision_lets_in_has_entered,
    what_is_applied_is_in_force_in_the_end,
)
