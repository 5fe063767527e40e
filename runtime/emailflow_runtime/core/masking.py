"""What contracts call sensitive, hidden from consoles and command lines. It changes nothing that is stored.

Where it can't be told what is at a path, more is hidden, not less.
"""

from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "(sensitive)"
_NESTED = "dev.emailflow.journey.entered"
"""The type of the fact that holds the event by which somebody entered."""


def masked(event: Mapping[str, Any], sensitive: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A CloudEvent in its JSON format with all sensitive values replaced; `sensitive`: paths such as
    `data.customer.email`, by type."""
    shown = dict(event)
    kind = event.get("type")
    paths = [path.split(".") for path in sensitive.get(kind, ())] if isinstance(kind, str) else []
    if any(path[0] == "data" for path in paths) and "data_base64" in shown:
        shown["data_base64"] = HIDDEN
    for path in paths:
        shown = _without(shown, path)
    data = shown.get("data")
    if kind == _NESTED and isinstance(data, Mapping) and isinstance(data.get("event"), Mapping):
        shown["data"] = {**data, "event": masked(data["event"], sensitive)}
    return shown


def _without(value: Any, path: Sequence[str]) -> Any:
    """The value with what is at the path hidden, in every item of a list on the way."""
    if not path:
        return HIDDEN
    if isinstance(value, list):
        return [_without(item, path) for item in value]
    if isinstance(value, Mapping):
        name = path[0]
        return {key: _without(item, path[1:]) if key == name else item for key, item in value.items()}
    # A text or a number where an object was declared may hold all of it.
    return HIDDEN if value is not None else None
