"""Which form a message is in, by its Content-Type (HTTP binding section 3, NATS binding section 3)."""

from enum import Enum

from emailflow_runtime.core.cloudevents.errors import UnsupportedMediaType
from emailflow_runtime.core.cloudevents.syntax import charset

JSON = "application/cloudevents+json"
JSON_BATCH = "application/cloudevents-batch+json"
_BARE = "application/cloudevents"


class Mode(Enum):
    """The content modes of CloudEvents."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"


def content_mode(content_type: str, *, bare: Mode | None = None) -> Mode:
    """The mode that a Content-Type announces; an absent one is the empty string.

    `bare` is what `application/cloudevents` alone announces, where the binding says so: on NATS the prefix
    makes it structured, and what names no format is JSON (NATS binding section 3).

    Raises UnsupportedMediaType for an event format, or a charset of one, that isn't spoken here.
    """
    essence = content_type.partition(";")[0].strip().lower()
    if not essence.startswith("application/cloudevents"):
        return Mode.BINARY
    if essence == _BARE and bare is not None:
        _check_charset(content_type)
        return bare
    if essence not in (JSON, JSON_BATCH):
        raise UnsupportedMediaType(f"Content-Type: expected the format {JSON} or {JSON_BATCH}")
    _check_charset(content_type)
    return Mode.STRUCTURED if essence == JSON else Mode.BATCHED


def _check_charset(content_type: str) -> None:
    if charset(content_type) not in ("", "utf-8"):
        raise UnsupportedMediaType("Content-Type: expected charset utf-8, as JSON is (RFC 8259 section 8.1)")
