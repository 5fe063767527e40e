"""`evolve(journey, fact) -> journey`: what a fact changes. Total, deterministic, never raises.

Folding a journey's facts gives its record (tested). Whatever is not in a fact can't be in the record.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Any, assert_never

from msgspec.structs import replace

from emailflow_runtime.core import facts as f
from emailflow_runtime.core.journey import APPLIED_IN_RECORD, Journey, Mail


def evolve(journey: Journey | None, fact: f.Fact) -> Journey | None:
    """The journey after the fact. A fact about another journey, or one that isn't there, changes nothing."""
    if isinstance(fact, f.Entered):
        return _enter(fact)
    if journey is None or journey.id != fact.journey:
        return journey
    changes = _considered(journey, fact)
    match fact:
        case f.Advanced():
            _walk(journey, fact.path, changes)
            timers = max(journey.timers, fact.timer)
            changes["unwaited"] = 0
            changes.update(wake_at=fact.wake_at, timer=fact.timer, timers=timers)
        case f.MailRequested():
            _walk(journey, fact.path, changes)
            mail = Mail(
                id=fact.mail,
                step=fact.path[-1],
                turn=fact.turn,
                template=fact.template,
                due=fact.due,
                asked=fact.at,
            )
            changes.update(wake_at=0, timer=0, mail=mail)
        case f.Exited():
            _end(fact.result, changes)
        case f.Completed():
            _walk(journey, fact.path, changes)
            _end(fact.result, changes)
        case _:
            _settle(journey, fact, changes)
    return replace(journey, **changes)


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


_Changes = dict[str, Any]
"""Fields of a journey. They are collected first: each copy of a journey costs as much as a fact."""


def _considered(journey: Journey, fact: f.Fact) -> _Changes:
    changes: _Changes = {
        "facts": fact.number,
        "at": max(journey.at, fact.at),
        "sequence": max(journey.sequence, fact.sequence),
    }
    if fact.applied:
        changes["applied"] = (*journey.applied, *fact.applied)[-APPLIED_IN_RECORD:]
    return changes


def _walk(journey: Journey, path: tuple[str, ...], changes: _Changes) -> None:
    if not path:
        return
    passes = dict(journey.passes)
    for step in path:
        passes[step] = passes.get(step, 0) + 1
    changes.update(step=path[-1], passes=passes, unwaited=journey.unwaited + len(path))


def _end(result: str, changes: _Changes) -> None:
    changes.update(running=False, result=result, step="", wake_at=0, timer=0)


def _asked(mail: Mail, at: int) -> int:
    """When `giveUpAfter` begins: what was held for something absent begins anew when it is there."""
    return max(mail.asked, at) if mail.held else mail.asked


_MailFact = f.MailAttempted | f.MailAccepted | f.MailDeferred | f.MailSkipped | f.MailFailed | f.MailUnknown


def _settle(journey: Journey, fact: _MailFact, changes: _Changes) -> None:
    mail = journey.mail
    if mail is None or mail.id != fact.mail:
        return
    match fact:
        case f.MailAttempted():
            mail = replace(
                mail,
                status="Attempted",
                attempts=fact.attempt,
                provider=fact.provider,
                start_by=fact.start_by,
                settled_by=fact.settled_by,
                asked=_asked(mail, fact.at),
                held="",
            )
            changes.update(mail=mail, wake_at=0, timer=0)
        case f.MailDeferred():
            spared, held = mail.spared + fact.systemic, fact.reason if fact.reason in f.ABSENT else ""
            deferred = replace(mail, status="Deferred", attempts=fact.attempt, spared=spared, held=held)
            if not held and fact.gates and fact.gates[-1].gate != f.PROVIDER:
                # Waiting for quiet hours or a cap to end is no fault of the provider.
                deferred = replace(deferred, asked=max(mail.asked, fact.retry_at))
            elif not held:
                deferred = replace(deferred, asked=_asked(mail, fact.at))
            timers = max(journey.timers, fact.timer)
            changes.update(mail=deferred, wake_at=fact.retry_at, timer=fact.timer, timers=timers)
        case f.MailAccepted():
            changes["mail"] = replace(mail, status="Accepted")
        case f.MailSkipped():
            changes.update(mail=replace(mail, status="Skipped", held=""), wake_at=0, timer=0)
        case f.MailFailed():
            changes.update(mail=replace(mail, status="Failed", held=""), wake_at=0, timer=0)
        case f.MailUnknown():
            changes["mail"] = replace(mail, status="Unknown")
        case _:
            assert_never(fact)
