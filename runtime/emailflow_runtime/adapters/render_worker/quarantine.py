"""Which templates have broken a limit, and which of them aren't tried for now. Reads no clock."""

from collections import OrderedDict

_STRIKES = 3
_REST = 60.0
"""Seconds for which a template is refused once it has broken a limit three times in a row."""

_KEPT = 1024


class Quarantine:
    """The record of templates by content hash: a changed template starts afresh.

    A template that broke a limit once is rendered apart from the others from then on; after three times
    in a row it is refused without being tried, for a minute. A success clears its count.
    """

    def __init__(self) -> None:
        self._strikes: OrderedDict[str, int] = OrderedDict()
        self._refused_until: dict[str, float] = {}

    def __contains__(self, template: str) -> bool:
        return template in self._strikes

    def convict(self, template: str, *, now: float) -> None:
        """The template broke a limit at `now` (seconds)."""
        strikes = self._strikes.pop(template, 0) + 1
        self._strikes[template] = strikes
        if strikes >= _STRIKES:
            self._refused_until[template] = now + _REST
        if len(self._strikes) > _KEPT:
            forgotten, _ = self._strikes.popitem(last=False)
            self._refused_until.pop(forgotten, None)

    def acquit(self, template: str) -> None:
        """The template has rendered a mail."""
        if self._strikes.get(template):
            self._strikes[template] = 0
            self._refused_until.pop(template, None)

    def refuses(self, template: str, *, now: float) -> bool:
        """Whether the template isn't to be tried at `now`. After its rest it has one more try."""
        return self._refused_until.get(template, now) > now
