"""Which form a message is in, by its Content-Type (HTTP binding section 3, NATS binding section 3)."""

from enum import Enum

from emailflow_runtime.core.cloudevents.errors import UnsupportedMediaType
from emailflow_runtime.core.cloudevents.syntax import charset

JSON = "application/cloudevents+json"
JSON_BATCH = "application/cloudevents-batch+json"


class Mode(Enum):
    """The content modes of CloudEvents."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"


def content_mode(content_type: str) -> Mode:
    """The mode that a Content-Type announces; an absent one is the empty string.

    Raises UnsupportedMediaType for an event format, or a charset of one, that isn't spoken here.
    """
    essence = content_type.partition(";")[0].strip().lower()
    if not essence.startswith("application/cloudevents"):
        return Mode.BINARY
    if essence not in (JSON, JSON_BATCH):
        raise UnsupportedMediaType(f"Content-Type: expected the format {JSON} or {JSON_BATCH}")
    if charset(content_type) not in ("", "utf-8"):
        raise UnsupportedMediaType("Content-Type: expected charset utf-8, as JSON is (RFC 8259 section 8.1)")
    return Mode.STRUCTURED if essence == JSON else Mode.BATCHED
