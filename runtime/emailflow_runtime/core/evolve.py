"""`evolve(journey, fact) -> journey`: what a fact changes. Total, deterministic, never raises.

Folding a journey's facts gives its record (tested). Whatever is not in a fact can't be in the record.
"""

from collections.abc import Iterable
from functools import reduce
from typing import assert_never

from msgspec.structs import replace

from emailflow_runtime.core import facts as f
from emailflow_runtime.core.journey import APPLIED_IN_RECORD, Journey, Mail


def evolve(journey: Journey | None, fact: f.Fact) -> Journey | None:
    """The journey after the fact. A fact about another journey, or one that isn't there, changes nothing."""
    if isinstance(fact, f.Entered):
        return _enter(fact)
    if journey is None or journey.id != fact.journey:
        return journey
    moved = _considered(journey, fact)
    match fact:
        case f.Advanced():
            return replace(
                _walk(moved, fact.path),
                wake_at=fact.wake_at,
                timer=fact.timer,
                timers=max(moved.timers, fact.timer),
            )
        case f.MailRequested():
            mail = Mail(
                id=fact.mail,
                step=fact.path[-1],
                turn=fact.turn,
                template=fact.template,
                due=fact.due,
                asked=fact.at,
            )
            return replace(_walk(moved, fact.path), wake_at=0, timer=0, mail=mail)
        case f.Exited():
            return _end(moved, fact.result)
        case f.Completed():
            return _end(_walk(moved, fact.path), fact.result)
        case _:
            return _mail(moved, fact)


def fold(facts: Iterable[f.Fact]) -> Journey | None:
    """The journey that these facts, in order, lead to."""
    start: Journey | None = None
    return reduce(evolve, facts, start)


def _enter(fact: f.Entered) -> Journey:
    return Journey(
        id=fact.journey,
        flow=fact.flow,
        contact=fact.contact,
        instance=fact.instance,
        revision=fact.revision,
        event=fact.event,
        at=fact.at,
        entered_at=fact.at,
        sequence=fact.sequence,
        key=fact.key,
        redone=fact.redone,
        facts=fact.number,
        applied=fact.applied[-APPLIED_IN_RECORD:],
    )


def _considered(journey: Journey, fact: f.Fact) -> Journey:
    applied = (*journey.applied, *fact.applied)[-APPLIED_IN_RECORD:] if fact.applied else journey.applied
    return replace(
        journey,
        facts=fact.number,
        at=max(journey.at, fact.at),
        sequence=max(journey.sequence, fact.sequence),
        applied=applied,
    )


def _walk(journey: Journey, path: tuple[str, ...]) -> Journey:
    if not path:
        return journey
    passes = dict(journey.passes)
    for step in path:
        passes[step] = passes.get(step, 0) + 1
    return replace(journey, step=path[-1], passes=passes)


def _end(journey: Journey, result: str) -> Journey:
    return replace(journey, running=False, result=result, step="", wake_at=0, timer=0)


_MailFact = f.MailAttempted | f.MailAccepted | f.MailDeferred | f.MailSkipped | f.MailFailed | f.MailUnknown


def _mail(journey: Journey, fact: _MailFact) -> Journey:
    mail = journey.mail
    if mail is None or mail.id != fact.mail:
        return journey
    match fact:
        case f.MailAttempted():
            attempted = replace(
                mail,
                status="Attempted",
                attempts=fact.attempt,
                provider=fact.provider,
                start_by=fact.start_by,
                settled_by=fact.settled_by,
            )
            return replace(journey, mail=attempted, wake_at=0, timer=0)
        case f.MailDeferred():
            spared = mail.spared + fact.systemic
            deferred = replace(mail, status="Deferred", attempts=fact.attempt, spared=spared)
            if fact.gates and fact.gates[-1].gate != f.PROVIDER:
                # Waiting for quiet hours or a cap to end is no fault of the provider.
                deferred = replace(deferred, asked=max(mail.asked, fact.retry_at))
            timers = max(journey.timers, fact.timer)
            return replace(journey, mail=deferred, wake_at=fact.retry_at, timer=fact.timer, timers=timers)
        case f.MailAccepted():
            return replace(journey, mail=replace(mail, status="Accepted"))
        case f.MailSkipped():
            return replace(journey, mail=replace(mail, status="Skipped"), wake_at=0, timer=0)
        case f.MailFailed():
            return replace(journey, mail=replace(mail, status="Failed"), wake_at=0, timer=0)
        case f.MailUnknown():
            return replace(journey, mail=replace(mail, status="Unknown"))
        case _:
            assert_never(fact)
