"""What follows from a mail's fate: a step that sends is left once its mail is settled.

Accepted, skipped, failed and unknown all settle it; deferred mails come back by timer. An outcome that
can't be known is resolved by the provider's declared policy, never by a blind resend.
"""

from typing import assert_never

import msgspec

from emailflow_api.durations import seconds
from emailflow_api.plans import Retry
from emailflow_runtime.core import outcomes as o
from emailflow_runtime.core.commands import KeepDeadLetter
from emailflow_runtime.core.facts import (
    ABSENT,
    PROVIDER,
    Gate,
    MailAccepted,
    MailAttempted,
    MailDeferred,
    MailFailed,
    MailSkipped,
    MailUnknown,
)
from emailflow_runtime.core.inputs import AttemptPlanned, MailBroken, MailWithheld, OutcomeKnown
from emailflow_runtime.core.journey import Mail
from emailflow_runtime.core.reactions.course import Course

SECOND = 1_000_000_000


class Delivery(msgspec.Struct, frozen=True):
    """What the mail's provider declares about trying again."""

    retry: Retry = Retry()
    on_unknown: str = "Hold"


def on_attempt(course: Course, mail: Mail, planned: AttemptPlanned) -> None:
    """Write the intent, if the mail may still go out."""
    if not course.journey.running or mail.settled or mail.status == "Attempted":
        return
    course.record(
        MailAttempted,
        mail=mail.id,
        provider=planned.provider,
        attempt=mail.attempts + 1,
        start_by=planned.start_by,
        settled_by=planned.settled_by,
        gates=planned.gates,
    )


def on_withheld(course: Course, mail: Mail, withheld: MailWithheld, delivery: Delivery) -> None:
    """Skip the mail, or put it off; `continueIf` ends the journey as well.

    What waits for its provider (`PROVIDER`) waits no longer than `giveUpAfter`, like one that the
    provider has put off; so does what waits for something that is not there (`ABSENT`), counted from when
    that was found. What waits for a person's time is not given up.
    """
    if mail.settled or mail.status == "Attempted":
        return
    closed = next((gate for gate in withheld.gates if gate.verdict != "Pass"), None)
    reason = closed.reason if closed else "Withheld"
    if closed is not None and closed.verdict == "Hold" and reason in ABSENT:
        _hold(course, mail, withheld, closed, delivery.retry)
        return
    if closed is not None and closed.verdict == "Hold":
        if closed.gate == PROVIDER and closed.until > _patience_ends(mail, delivery.retry):
            attempt, message = mail.attempts, closed.reason
            course.record(MailFailed, mail=mail.id, reason="GivenUp", message=message, attempt=attempt)
            course.go_on()
            return
        course.record(
            MailDeferred,
            mail=mail.id,
            reason=reason,
            retry_at=closed.until,
            timer=course.journey.timers + 1,
            attempt=mail.attempts,
            gates=withheld.gates,
        )
        return
    course.record(MailSkipped, mail=mail.id, reason=reason, gates=withheld.gates)
    if withheld.discontinue and course.journey.running:
        course.exit("Discontinued", reason)
    course.go_on()


def _hold(course: Course, mail: Mail, withheld: MailWithheld, closed: Gate, retry: Retry) -> None:
    """Let the mail wait for what is not there: one timer, for when patience or `maxLateness` (the gate's
    `until`) ends. Who finds that it is there sends the mail before."""
    ends = course.journey.wake_at
    if not mail.held:
        ends = course.at + int(seconds(retry.give_up_after) * SECOND)
        ends = min(ends, closed.until) if closed.until else ends
    elif course.at >= ends:
        _fail_to_make(course, mail, closed.reason, withheld.message)
        return
    if mail.held != closed.reason:
        course.record(
            MailDeferred,
            mail=mail.id,
            reason=closed.reason,
            retry_at=ends,
            timer=course.journey.timers + 1,
            attempt=mail.attempts,
            gates=withheld.gates,
        )


def on_broken(course: Course, mail: Mail, broken: MailBroken) -> None:
    """The mail can't be made: say so, keep the event for a redrive, go on."""
    if mail.settled or mail.status == "Attempted":
        return
    _fail_to_make(course, mail, broken.reason, broken.message)


def _fail_to_make(course: Course, mail: Mail, reason: str, message: str) -> None:
    course.record(MailFailed, mail=mail.id, reason=reason, message=message, attempt=mail.attempts)
    course.commands.append(KeepDeadLetter(reason, message, course.instance, mail.step))
    course.go_on()


def on_outcome(course: Course, mail: Mail, known: OutcomeKnown, delivery: Delivery) -> None:
    """Record what the provider answered, and what follows."""
    if mail.status != "Attempted" or mail.attempts != known.attempt:
        return
    match known.outcome:
        case o.Accepted():
            _accept(course, mail, known.outcome)
        case o.Refused():
            _fail(course, mail, known.outcome, known.outcome.reason)
        case o.Deferred():
            _defer(course, mail, known.outcome, delivery.retry)
        case o.Unknown():
            _leave_unknown(course, mail, known.outcome, delivery)
        case _:
            assert_never(known.outcome)


def _accept(course: Course, mail: Mail, accepted: o.Accepted) -> None:
    course.record(
        MailAccepted,
        mail=mail.id,
        provider=mail.provider,
        attempt=mail.attempts,
        reply=accepted.reply,
        provider_id=accepted.provider_id,
    )
    course.go_on()


def _fail(course: Course, mail: Mail, answer: o.Refused | o.Deferred, reason: str) -> None:
    course.record(
        MailFailed,
        mail=mail.id,
        reason=reason,
        attempt=mail.attempts,
        reply=answer.reply,
        code=answer.code,
        enhanced=answer.enhanced,
    )
    course.go_on()


def _defer(course: Course, mail: Mail, answer: o.Deferred, retry: Retry) -> None:
    if not course.journey.running:
        course.record(MailSkipped, mail=mail.id, reason="JourneyExited")
        return
    retry_at = course.at + _pause(mail.attempts, answer, retry)
    # A provider that is down says nothing about this mail, so only `giveUpAfter` bounds that.
    systemic = o.by_provider(answer)
    if not systemic and mail.attempts - mail.spared >= retry.max_attempts:
        _fail(course, mail, answer, "RetriesExhausted")
    elif retry_at > _patience_ends(mail, retry):
        _fail(course, mail, answer, "GivenUp")
    else:
        course.record(
            MailDeferred,
            mail=mail.id,
            reason=answer.reason,
            retry_at=retry_at,
            timer=course.journey.timers + 1,
            attempt=mail.attempts,
            systemic=systemic,
            reply=answer.reply,
            code=answer.code,
            enhanced=answer.enhanced,
        )


def _patience_ends(mail: Mail, retry: Retry) -> int:
    return int((mail.asked or mail.due) + seconds(retry.give_up_after) * SECOND)


def _pause(attempts: int, answer: o.Deferred, retry: Retry) -> int:
    """Nanoseconds until the next attempt: what the provider asked for, else doubling up to the maximum."""
    if answer.retry_after is not None:
        return int(answer.retry_after * SECOND)
    longest = seconds(retry.max_backoff)
    doubled = seconds(retry.backoff) * 2 ** min(max(attempts - 1, 0), 40)
    return int(min(doubled, longest) * SECOND)


def _leave_unknown(course: Course, mail: Mail, unknown: o.Unknown, delivery: Delivery) -> None:
    course.record(
        MailUnknown,
        mail=mail.id,
        reason=unknown.reason,
        provider=mail.provider,
        attempt=mail.attempts,
        detail=unknown.detail,
    )
    retry, policy = delivery.retry, delivery.on_unknown
    if policy == "Resend" and course.journey.running and mail.attempts - mail.spared < retry.max_attempts:
        again = o.Deferred(reason="OnUnknownResend")
        _defer(course, mail, again, retry)
        return
    if policy == "AssumeSent":
        _accept(course, mail, o.Accepted(reply="assumed: onUnknown is AssumeSent"))
        return
    course.go_on()
