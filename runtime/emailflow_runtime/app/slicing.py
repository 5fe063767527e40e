"""Which journeys that an event touches go into one commit: no more than JetStream takes at once.

It knows nothing of what is stored of them.
"""

from emailflow_runtime.core.reactions.arriving import TOGETHER

ENTERING = 3
"""Journeys, at most, that an event touches beside those that it ends."""


def slices(touched: dict[str, int]) -> list[dict[str, int]]:
    """What goes into one commit each; the last has all that says that an event has had its turn
    (`reactions.arriving`)."""
    if len(touched) <= TOGETHER:
        return [touched]
    found, rest = [], list(touched.items())
    while len(rest) > TOGETHER + ENTERING:
        cut = min(TOGETHER, len(rest) - TOGETHER - ENTERING)
        found.append(dict(rest[:cut]))
        rest = rest[cut:]
    return [*found, dict(rest)]
