"""Conditions as kstatus reads them: `Ready` always, `Reconciling` and `Stalled` only while they are true.

A verdict is a set of conditions without times; `revise` merges it into what the object says already, so
that writing the same again changes nothing. When that is done, and why, is the reconciler's.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from emailflow_api.kinds.condition import Condition

Truth: TypeAlias = Literal["True", "False", "Unknown"]

_MAX_MESSAGE = 32_768


class Statement(NamedTuple):
    """What a condition is to say. `reason` is a CamelCase word, `message` a sentence."""

    type: str
    status: Truth
    reason: str
    message: str


Verdict: TypeAlias = tuple[Statement, ...]


def ready(reason: str, message: str) -> Verdict:
    """All is as the spec wants it (kstatus: Current)."""
    return (Statement("Ready", "True", reason, message),)


def waiting(reason: str, message: str, *, status: Truth = "False") -> Verdict:
    """Something else must change first, and then this heals by itself (kstatus: InProgress).

    `status` Unknown: it can't be known whether all is well, as when NATS is out of reach.
    """
    return (Statement("Ready", status, reason, message),)


def reconciling(reason: str, message: str) -> Verdict:
    """Work is under way (kstatus: InProgress); also the first status of an object, which has none yet."""
    return (
        Statement("Ready", "Unknown", reason, message),
        Statement("Reconciling", "True", reason, message),
    )


def stalled(reason: str, message: str) -> Verdict:
    """Only a change of the object itself can help (kstatus: Failed)."""
    return (
        Statement("Ready", "False", reason, message),
        Statement("Stalled", "True", reason, message),
    )


def revise(
    conditions: Iterable[Condition], verdict: Sequence[Statement], *, generation: int, now: str
) -> list[Condition]:
    """The conditions that an object has once the verdict is written, in the verdict's order.

    `generation` is the metadata.generation judged, `now` an RFC 3339 time. lastTransitionTime changes only
    with `status` (metav1.Condition); what the verdict doesn't mention is gone.
    """
    before = {condition.type: condition for condition in conditions}
    return [_revised(before.get(statement.type), statement, generation, now) for statement in verdict]


def _revised(before: Condition | None, statement: Statement, generation: int, now: str) -> Condition:
    unchanged = before is not None and before.status == statement.status
    return Condition(
        type=statement.type,
        status=statement.status,
        reason=statement.reason,
        message=statement.message[:_MAX_MESSAGE],
        lastTransitionTime=before.last_transition_time if before and unchanged else now,
        observedGeneration=generation,
    )
