"""The NATS Protocol Binding: events as messages with headers, or as JSON in the payload.

Binary mode is that of version 1.0.3-wip (1.0.2 was written before NATS had headers and knows structured
mode only). It differs from HTTP in one thing: `datacontenttype` is `ce-datacontenttype`, never Content-Type.
Subjects are the adapters' matter.
"""

from collections.abc import Mapping
from functools import lru_cache

from emailflow_runtime.core.cloudevents import headers as ce_headers
from emailflow_runtime.core.cloudevents import json_format
from emailflow_runtime.core.cloudevents.attributes import make_event
from emailflow_runtime.core.cloudevents.errors import MissingAttribute, UnsupportedMediaType
from emailflow_runtime.core.cloudevents.event import CloudEvent, ExtensionValue
from emailflow_runtime.core.cloudevents.media_types import JSON, Mode, content_mode

_encode_name = lru_cache(maxsize=1024)(ce_headers.encode_text)
"""For what many events say alike."""


def encode(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """The event in binary mode: headers and payload. No data and empty data are both an empty payload."""
    encode_text = ce_headers.encode_text
    headers = {
        "ce-specversion": _encode_name(event.specversion),
        "ce-id": encode_text(event.id),
        "ce-source": _encode_name(event.source),
        "ce-type": _encode_name(event.type),
    }
    if event.subject is not None:
        headers["ce-subject"] = encode_text(event.subject)
    if event.time is not None:
        headers["ce-time"] = encode_text(event.time)
    if event.datacontenttype is not None:
        headers["ce-datacontenttype"] = _encode_name(event.datacontenttype)
    if event.dataschema is not None:
        headers["ce-dataschema"] = _encode_name(event.dataschema)
    for name, value in event.extensions.items():
        headers[f"ce-{name}"] = ce_headers.encode_value(value)
    return headers, event.data or b""


def encode_structured(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """The event in structured mode: headers and payload."""
    return {"Content-Type": JSON}, json_format.encode(event)


def read_stored(headers: Mapping[str, str], payload: bytes) -> CloudEvent:
    """An event in binary mode that was valid when it was stored: nothing is judged again.

    Raises MissingAttribute for a message that no `encode` of ours wrote.
    """
    found: dict[str, ExtensionValue] = {}
    for header, text in headers.items():
        if header.startswith("ce-"):
            found[header[3:]] = (
                ce_headers.decode_value(header[3:], text) if "%" in text or '"' in text else text
            )
    named = {name: found.pop(name, None) for name in _ATTRIBUTES}
    if missing := next((name for name in ("id", "source", "type") if named[name] is None), None):
        raise MissingAttribute(f"{missing}: expected a header ce-{missing}")
    return CloudEvent(extensions=found, data=payload or None, **named)  # type: ignore[arg-type] # by name


_ATTRIBUTES = ("id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema")


def decode(headers: Mapping[str, str] | None, payload: bytes) -> CloudEvent:
    """The event of a message in either mode; headers that aren't CloudEvents' are passed over.

    A message with neither `ce-` headers nor a Content-Type is a JSON event: that is all that 1.0.2 knows.
    Raises CodecError.
    """
    content_type, attributes = ce_headers.read((headers or {}).items())
    mode = content_mode(content_type)
    if mode is Mode.STRUCTURED or not (content_type or attributes):
        return json_format.decode(payload)
    if mode is Mode.BATCHED or not attributes:
        raise UnsupportedMediaType(f"Content-Type: expected {JSON}, or else ce- headers")
    return make_event(ce_headers.decode_values(attributes), payload)
