"""The flows of a world as their authors change them: each in several revisions, no step of one in another.

So a step's name tells which revision a journey runs. Nothing here says when a revision is applied.
"""

from msgspec.structs import replace
from tests.simulation import flows

from emailflow_api import plans as p
from emailflow_runtime.core.program import CompiledProgram

OTHER_WAITS = {
    1: {
        "PT3H": "PT2H59M",
        "PT2M": "PT3M",
        "PT1M": "PT90S",
        "PT20S": "PT40S",
        "PT15S": "PT5S",
        "PT5S": "PT30S",
    },
    2: {
        "PT3H": "PT3H1M",
        "PT2M": "PT10S",
        "PT1M": "PT20S",
        "PT20S": "PT5S",
        "PT15S": "PT45S",
        "PT5S": "PT1S",
    },
}
OTHER_EXITS = {
    ("tips", 2): (p.Exit(types=(flows.SIGNED_UP,), result="Joined"),),
    ("tips", 3): (),
    ("cart", 2): (),
    ("nudge", 1): (p.Exit(types=(flows.ORDER,), result="Bought"),),
}
OTHER_TRIGGERS = {
    ("receipt", 1): p.Trigger(types=(flows.ORDER, flows.SIGNED_UP)),
    ("receipt", 2): p.Trigger(types=(flows.SIGNED_UP,)),
}
NUMBERS = range(4)


def _made(name, number):
    """A flow's program in this revision; 0 is the one that worlds without changes have."""
    program = flows.PROGRAMS[name]
    if not number:
        return program
    steps = [_other(step, number) for step in program.steps]
    if number == 1:
        steps = _with_more(steps)
    if number == 2:
        steps = _with_less(steps)
    return replace(
        program,
        trigger=OTHER_TRIGGERS.get((name, number), program.trigger),
        exits=OTHER_EXITS.get((name, number), program.exits),
        steps=tuple(steps),
    )


def _named(name, number):
    return name if name == p.END else f"{name}-r{number}"


def _other(step, number):
    """The step under another name, a wait of another length."""
    step = replace(step, name=_named(step.name, number))
    if not isinstance(step, p.End):
        step = replace(step, next=_named(step.next, number))
    if isinstance(step, p.Branch):
        step = replace(step, cases=tuple(p.Case(each.when, _named(each.then, number)) for each in step.cases))
    if isinstance(step, p.Wait):
        step = replace(step, duration=OTHER_WAITS.get(number, {}).get(step.duration, step.duration))
    return step


def _with_more(steps):
    """A pause and a mail more in the beginning."""
    pause = p.Wait(name="new-pause-r1", next="new-r1", duration="PT10S")
    mail = p.Send(name="new-r1", next=steps[0].name, template="shop/mail", provider="hold")
    return [pause, mail, *steps]


def _with_less(steps):
    """The last mail is not sent, if it isn't the only one."""
    sends = [step for step in steps if isinstance(step, p.Send)]
    if len(sends) < 2:
        return steps
    last = sends[-1]
    left = [step for step in steps if step is not last]
    return [replace(step, next=last.next) if _leads_to(step, last) else step for step in left]


def _leads_to(step, other):
    return not isinstance(step, p.End) and step.next == other.name


PROGRAMS = {name: [_made(name, number) for number in NUMBERS] for name in flows.PROGRAMS}
"""By flow, its program in each revision."""
TYPES = {name: frozenset().union(*(each.types() for each in made)) for name, made in PROGRAMS.items()}
"""By flow, what any of them reacts to."""
BY_REVISION = {p.content_hash(each): each for made in PROGRAMS.values() for each in made}
COMPILED = {revision: CompiledProgram(program) for revision, program in BY_REVISION.items()}
"""Expressions are compiled once for all worlds."""
