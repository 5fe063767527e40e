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


def encode(event: CloudEvent) -> tuple[dict[str, str], bytes]:
    """The event in binary mode: headers and payload. No data and empty data are both an empty payload."""
    headers = {f"ce-{name}": ce_headers.encode_value(value) for name, value in event.attributes.items()}
    return headers, event.data or b""


def header_lines(event: CloudEvent) -> str:
    """The headers of `encode` as they are written, each with its line end.

    For the log, which takes thousands a second: what events of one kind say alike is written once.
    """
    encode_text = ce_headers.encode_text
    lines = _alike(event.specversion, event.source, event.type, event.datacontenttype, event.dataschema)
    lines += f"ce-id: {encode_text(event.id)}\r\n"
    if event.subject is not None:
        lines += f"ce-subject: {encode_text(event.subject)}\r\n"
    if event.time is not None:
        lines += f"ce-time: {encode_text(event.time)}\r\n"
    for name, value in event.extensions.items():
        lines += f"ce-{name}: {ce_headers.encode_value(value)}\r\n"
    return lines


@lru_cache(maxsize=1024)
def _alike(
    specversion: str, source: str, type_: str, datacontenttype: str | None, dataschema: str | None
) -> str:
    said = {
        "specversion": specversion,
        "source": source,
        "type": type_,
        "datacontenttype": datacontenttype,
        "dataschema": dataschema,
    }
    return "".join(
        f"ce-{name}: {ce_headers.encode_text(text)}\r\n" for name, text in said.items() if text is not None
    )


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
    mode = content_mode(content_type, bare=Mode.STRUCTURED)
    if mode is Mode.STRUCTURED or not (content_type or attributes):
        return json_format.decode(payload)
    if mode is Mode.BATCHED or not attributes:
        raise UnsupportedMediaType(f"Content-Type: expected {JSON}, or else ce- headers")
    return make_event(ce_headers.decode_values(attributes), payload)
