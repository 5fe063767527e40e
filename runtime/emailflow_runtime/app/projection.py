"""What readers want to know of EVENTS, event by event: a timeline, the mails with their decisions, funnels.

A pure function from an event to changes of rows. Nothing refers to an event before it except by a mail's id,
so that reading from the start gives the same rows wherever reading was interrupted.
"""

from collections.abc import Sequence
from typing import Any, assert_never

import msgspec

from emailflow_runtime.app.stores import DeliveredEvent
from emailflow_runtime.core import facts as f
from emailflow_runtime.core.cloudevents.errors import CodecError
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import event_hash
from emailflow_runtime.core.publication import PREFIX, read_fact, rfc3339


class Moment(msgspec.Struct, frozen=True):
    """A row of the timeline: one event, the first of its source and id. `what` says it in words."""

    event: str
    sequence: int
    at: int
    contact: str
    type: str
    flow: str = ""
    journey: str = ""
    step: str = ""
    mail: str = ""
    what: str = ""


class MailChange(msgspec.Struct, frozen=True):
    """What is new about a mail; empty fields stay as they are. `gates` is its decision record as JSON."""

    mail: str
    at: int
    outcome: str
    flow: str = ""
    contact: str = ""
    journey: str = ""
    step: str = ""
    template: str = ""
    provider: str = ""
    attempt: int = 0
    reason: str = ""
    gates: str = ""


class Count(msgspec.Struct, frozen=True):
    """One more in a flow's funnel, at a step; `mail` names the step where the fact doesn't."""

    flow: str
    what: str
    step: str = ""
    mail: str = ""


class Projected(msgspec.Struct, frozen=True):
    """What one event changes."""

    moment: Moment
    mails: Sequence[MailChange] = ()
    counts: Sequence[Count] = ()


def project(found: DeliveredEvent) -> Projected:
    """The changes that follow from an event of the log."""
    event = found.event
    fact = _fact(event)
    flow = _flow(event.source) if fact is not None else ""
    said, mails, counts = _told(fact, flow, found.contact) if fact is not None else ({}, (), ())
    named = {"what": f"{event.source} {event.id}", **said}
    moment = Moment(
        event=f"{event_hash(event):016x}",
        sequence=found.sequence,
        at=found.at,
        contact=found.contact,
        type=event.type,
        flow=flow,
        journey=fact.journey if fact is not None else "",
        **named,
    )
    return Projected(moment, mails, counts)


def _fact(event: CloudEvent) -> f.Fact | None:
    """The fact in an event; what another version wrote and this one can't read is an event like any other."""
    try:
        return read_fact(event) if event.type.startswith(PREFIX) else None
    except (msgspec.MsgspecError, CodecError, KeyError):
        return None


_Told = tuple[dict[str, Any], Sequence[MailChange], Sequence[Count]]


def _told(fact: f.Fact, flow: str, contact: str) -> _Told:
    match fact:
        case f.Entered():
            what = f"entered by {fact.event.type} {fact.event.source} {fact.event.id}"
            return {"what": what}, (), (Count(flow, "entered"),)
        case f.Advanced():
            said = {
                "step": fact.path[-1] if fact.path else "",
                "what": f"waits until {rfc3339(fact.wake_at)}",
            }
            return said, (), _reached(flow, fact.path)
        case f.Exited():
            return (
                {"what": f"exited: {fact.result} ({fact.reason})"},
                (),
                (Count(flow, f"exited {fact.result}"),),
            )
        case f.Completed():
            counts = (*_reached(flow, fact.path), Count(flow, f"completed {fact.result}"))
            return {"what": f"completed: {fact.result}"}, (), counts
        case f.MailRequested():
            return _requested(fact, flow, contact)
        case f.MailAttempted():
            change = MailChange(
                fact.mail,
                fact.at,
                "attempted",
                provider=fact.provider,
                attempt=fact.attempt,
                gates=_gates(fact),
            )
            what = f"attempt {fact.attempt} through {fact.provider}"
            return {"mail": fact.mail, "what": what}, (change,), ()
        case f.MailAccepted() | f.MailDeferred() | f.MailSkipped() | f.MailFailed() | f.MailUnknown():
            return _settled(fact, flow)
        case _:
            assert_never(fact)


def _requested(fact: f.MailRequested, flow: str, contact: str) -> _Told:
    change = MailChange(
        fact.mail,
        fact.at,
        "requested",
        flow=flow,
        contact=contact,
        journey=fact.journey,
        step=fact.path[-1],
        template=fact.template,
    )
    said = {"step": fact.path[-1], "mail": fact.mail, "what": f"asks for {fact.template}"}
    return said, (change,), (*_reached(flow, fact.path), Count(flow, "requested", fact.path[-1]))


def _settled(
    fact: f.MailAccepted | f.MailDeferred | f.MailSkipped | f.MailFailed | f.MailUnknown, flow: str
) -> _Told:
    outcome = type(fact).__name__.removeprefix("Mail").lower()
    reason = "" if isinstance(fact, f.MailAccepted) else fact.reason
    gates = _gates(fact) if isinstance(fact, f.MailSkipped) else ""
    change = MailChange(fact.mail, fact.at, outcome, reason=reason, gates=gates)
    what = f"{outcome}: {reason}" if reason else outcome
    return {"mail": fact.mail, "what": what}, (change,), (Count(flow, outcome, mail=fact.mail),)


def _reached(flow: str, path: Sequence[str]) -> tuple[Count, ...]:
    return tuple(Count(flow, "reached", step) for step in path)


def _gates(fact: f.MailAttempted | f.MailSkipped) -> str:
    return msgspec.json.encode(fact.gates).decode() if fact.gates else ""


def _flow(source: str) -> str:
    """`namespace/name` in a fact's source."""
    return source.partition("/flows/")[2]
