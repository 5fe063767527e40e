"""The names that a template reads, and which of them no mail ever has.

What stands below `event` and `trigger` is the contracts' to say, not this module's.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches

from jinja2 import nodes

CONTEXT: Mapping[str, Collection[str]] = {
    "event": (),
    "trigger": (),
    "contact": ("id", "email", "name", "locale", "timezone", "traits", "topics", "scores", "history"),
    "journey": ("id", "flow", "step", "variant"),
    "links": ("unsubscribe", "preferences", "view", "confirm"),
    "now": (),
    "locale": (),
}
"""What templates see (a test compares), each with its members; none: any."""
GLOBALS = frozenset({"range", "dict", "namespace"})
"""Functions that rendering leaves in (a test compares)."""
_JINJA = frozenset({"loop", "caller", "varargs", "kwargs", "self", "super"})
_METHODS = frozenset({"items", "keys", "values", "get"})
_MOST = 2_000
"""Names that are looked at."""


class Names:
    """`note` each node of a template, then ask for what is `unknown`."""

    def __init__(self) -> None:
        self._own: set[str] = set()
        self._read: dict[str, int] = {}
        self._members: dict[tuple[str, str], int] = {}

    def note(self, node: nodes.Node) -> None:
        """Remember what the node reads or makes."""
        match node:
            case nodes.Name(name=name, ctx="load") if len(self._read) < _MOST:
                self._read.setdefault(name, node.lineno)
            case nodes.Name(name=name) | nodes.NSRef(name=name) | nodes.Macro(name=name):
                self._own.add(name)
            case nodes.Getattr(node=nodes.Name(name=name), attr=attr) if len(self._members) < _MOST:
                self._members.setdefault((name, attr), node.lineno)

    def unknown(self) -> list[tuple[str, str]]:
        """What is there, and what is expected, of each name that is never there."""
        known = {*CONTEXT, *GLOBALS}
        found: list[tuple[int, str, Collection[str]]] = [
            (line, name, known) for name, line in self._read.items() if name not in known | self._own | _JINJA
        ]
        for (name, member), line in self._members.items():
            members = CONTEXT.get(name)
            if members and name not in self._own and member not in {*members, *_METHODS}:
                found.append((line, f"{name}.{member}", [f"{name}.{each}" for each in members]))
        return [_told(*each) for each in sorted(found, key=lambda each: each[:2])]


def _told(line: int, name: str, known: Collection[str]) -> tuple[str, str]:
    close = get_close_matches(name, known, n=1)
    return f"line {line}: no mail has `{name}`", close[0] if close else f"one of {', '.join(sorted(known))}"
