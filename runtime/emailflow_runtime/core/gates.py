"""The gates before every attempt: each says Pass or why not, and all of it is recorded.

The first gate that doesn't pass decides. Pure; what they look at is handed in.
"""

from collections.abc import Callable, Mapping

import msgspec

from emailflow_api.durations import add
from emailflow_api.expressions import Bindings
from emailflow_api.plans import PolicyPlan, Send
from emailflow_runtime.core.consent import Consent, allows
from emailflow_runtime.core.facts import Gate
from emailflow_runtime.core.journey import Journey, Mail
from emailflow_runtime.core.limits import capped_until, quiet_until
from emailflow_runtime.core.program import CompiledProgram, holds

DISCONTINUED = "Discontinued"


class Absent(msgspec.Struct, frozen=True):
    """Something that a mail needs and that is not there: what it is, the reason (`facts.ABSENT`), and which
    one, in words."""

    gate: str
    reason: str
    message: str


class Situation(msgspec.Struct, frozen=True):
    """What the gates look at, at one moment (`at`, nanoseconds since 1970 UTC)."""

    journey: Journey
    mail: Mail
    step: Send
    program: CompiledProgram
    policy: PolicyPlan | None
    consent: Consent | None
    """None: it is not known whom the mail is for, so that consent and limits are not judged."""
    values: Bindings
    zone: str
    at: int
    contact_zone: str = ""
    """What the contact said; empty or no zone when it is not known."""
    sent: Mapping[str, int] = {}
    """The contact's mails that count under caps: id -> moment."""
    captured: bool = False
    """Whether the runtime shows mails only, and hands none over."""
    absent: Absent | None = None
    """Then the mail waits, whatever consent and limits would say without it."""


def judge(situation: Situation) -> tuple[Gate, ...]:
    """The verdicts in order, up to the first that isn't Pass."""
    verdicts: list[Gate] = []
    for gate in _OWN:
        verdicts.append(gate(situation))
        if verdicts[-1].verdict != "Pass":
            return tuple(verdicts)
    if (absent := situation.absent) is not None:
        return (*verdicts, Gate(absent.gate, "Hold", absent.reason, _latest(situation)))
    for gate in _OF_OTHERS if situation.consent is not None else ():
        verdicts.append(gate(situation))
        if verdicts[-1].verdict != "Pass":
            break
    return tuple(verdicts)


def passes(verdicts: tuple[Gate, ...]) -> bool:
    """Whether the mail may go out."""
    return all(gate.verdict == "Pass" for gate in verdicts)


def discontinues(verdicts: tuple[Gate, ...]) -> bool:
    """Whether the journey ends with it."""
    return any(gate.verdict == "End" for gate in verdicts)


def _gate(name: str, passed: bool, reason: str, otherwise: str = "Skip") -> Gate:
    return Gate(name, "Pass") if passed else Gate(name, otherwise, reason)


def _exit(situation: Situation) -> Gate:
    return _gate("exit", situation.journey.running, "JourneyExited")


def _continue_if(situation: Situation) -> Gate:
    condition = situation.program.continue_if
    # One that can't be evaluated, say for a trait that nobody has set yet, is not false.
    goes_on = condition is None or holds(condition, situation.values, otherwise=True)
    return _gate("continueIf", goes_on, DISCONTINUED, "End")


def _skip_if(situation: Situation) -> Gate:
    text = situation.step.skip_if
    skips = bool(text) and holds(situation.program.conditions[text], situation.values)
    return _gate("skipIf", not skips, "SkipIf")


def _lateness(situation: Situation) -> Gate:
    latest = _latest(situation)
    return _gate("maxLateness", not latest or situation.at < latest, "TooLate")


def _latest(situation: Situation) -> int:
    """The first moment at which the mail is too late; 0: there is none."""
    latest = situation.step.max_lateness
    return add(situation.mail.due, latest, situation.zone) + 1 if latest else 0


def _consent(situation: Situation) -> Gate:
    reason = allows(situation.policy, situation.consent or Consent())
    return _gate("consent", not reason, reason)


def _quiet_hours(situation: Situation) -> Gate:
    quiet = situation.policy.quiet_hours if situation.policy else None
    if quiet is None:
        return Gate("quietHours", "Pass")
    until = quiet_until(quiet, situation.at, situation.contact_zone, situation.zone)
    return _limit("quietHours", "QuietHours", until, quiet.action)


def _cap(situation: Situation) -> Gate:
    policy = situation.policy
    if policy is None or not policy.caps:
        return Gate("cap", "Pass")
    others = [moment for mail, moment in situation.sent.items() if mail != situation.mail.id]
    until = capped_until(policy.caps, others, situation.at, situation.zone)
    return _limit("cap", "FrequencyCapped", until, policy.on_capped)


def _limit(name: str, reason: str, until: int, action: str) -> Gate:
    if not until:
        return Gate(name, "Pass")
    return Gate(name, "Hold", reason, until) if action == "Defer" else Gate(name, "Skip", reason)


def _capture(situation: Situation) -> Gate:
    return _gate("delivery", not situation.captured, "Captured")


_Gates = tuple[Callable[[Situation], Gate], ...]

_OWN: _Gates = (_exit, _continue_if, _skip_if, _lateness)
"""What the flow says itself, so that nothing else has to be there for it."""
_OF_OTHERS: _Gates = (_consent, _quiet_hours, _cap, _capture)
"""What policy and runtime say."""
