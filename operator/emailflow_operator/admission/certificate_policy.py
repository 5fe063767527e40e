"""When which certificate is made, published and dropped. Pure: what is held and the time go in, one step
comes out; whoever performs it asks again.

A rotation never has a moment at which the API server can't verify a replica: the new authority is published
beside the old one first, then the serving certificate is issued by it, then the old one goes. Between these,
`settle` passes, in which every API server and every replica has taken notice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple


class Lifetimes(NamedTuple):
    """How long certificates live, and how long everybody may take to notice a change."""

    authority: timedelta = timedelta(days=365)
    serving: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(minutes=5)


class Validity(NamedTuple):
    """From when until when."""

    begins: datetime
    ends: datetime

    def is_due(self, now: datetime) -> bool:
        """Whether two thirds of its life are over."""
        return now >= self.begins + (self.ends - self.begins) * 2 / 3


class Held(NamedTuple):
    """What the Secret holds, without keys. `authorities` oldest first; the last one's key is there."""

    authorities: Sequence[Validity]
    serving: Validity
    issued_by_last: bool
    """Whether the serving certificate is by the last authority."""
    names: frozenset[str]
    """Whom the serving certificate is for."""


class Step(Enum):
    """What to do next."""

    KEEP = "Keep"
    BEGIN = "Begin"
    """Nothing that is held is of use: a new authority and a serving certificate, at once."""
    ADD_AUTHORITY = "AddAuthority"
    ISSUE = "Issue"
    """A serving certificate, by the last authority."""
    DROP_OLD = "DropOld"
    """All authorities but the last."""


def next_step(
    held: Held | None, now: datetime, names: frozenset[str], settle: timedelta, *, published: bool
) -> Step:
    """The next step. `published`: the last authority is in every `caBundle` that there is."""
    if held is None or not held.authorities:
        return Step.BEGIN
    last = held.authorities[-1]
    if now >= last.ends or now >= held.serving.ends:
        return Step.BEGIN
    if not held.issued_by_last:
        settled = published and now >= last.begins + settle
        return Step.ISSUE if settled else Step.KEEP
    if last.is_due(now):
        return Step.ADD_AUTHORITY
    if held.serving.is_due(now) or not names <= held.names:
        return Step.ISSUE
    if len(held.authorities) > 1 and now >= held.serving.begins + settle:
        return Step.DROP_OLD
    return Step.KEEP
