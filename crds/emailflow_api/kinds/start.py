"""Where a new flow begins to read: a word or a time. The one field whose shape depends on its value.

A structural schema has no word for "a string or an object", so the schema is written by hand here, once.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Discriminator, Tag, WithJsonSchema

from emailflow_api.kinds.model import ApiModel
from emailflow_api.kinds.text import TIMESTAMP, Timestamp


class StartTime(ApiModel):
    """Begin with the first event that arrived at this time or later."""

    time: Timestamp
    """RFC 3339."""


def _shape(value: Any) -> str | None:
    match value:
        case "New" | "Earliest":
            return "word"
        case dict() | StartTime():
            return "time"
    return None


_NOT_AN_OBJECT = {
    "pattern": "^$",
    "minLength": 1,
    "minimum": 1,
    "maximum": 0,
    "minItems": 1,
    "maxItems": 0,
    "not": {"enum": [True, False]},
}
"""No string, number, list or boolean fulfils this; `type` is not allowed inside `anyOf`."""
_SCHEMA = {
    "x-kubernetes-preserve-unknown-fields": True,
    "properties": {
        "time": {"type": "string", "pattern": TIMESTAMP, "maxLength": 35, "description": "RFC 3339."}
    },
    "anyOf": [
        {"enum": ["New", "Earliest"]},
        {"required": ["time"], "maxProperties": 1, **_NOT_AN_OBJECT},
    ],
}
StartFrom: TypeAlias = Annotated[
    Annotated[Literal["New", "Earliest"], Tag("word")] | Annotated[StartTime, Tag("time")],
    Discriminator(
        _shape,
        custom_error_type="start_from",
        custom_error_message="Input should be New, Earliest or {time: …}",
    ),
    WithJsonSchema(_SCHEMA),
]
