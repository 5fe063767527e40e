"""The HTTP Protocol Binding 1.0.2: events as requests in binary, structured and batched mode.

Headers are pairs of bytes, as ASGI has them. Methods, status codes and limits on bodies are the door's.
"""

from collections.abc import Iterable

from emailflow_runtime.core.cloudevents import headers as ce_headers
from emailflow_runtime.core.cloudevents import json_format
from emailflow_runtime.core.cloudevents.attributes import make_event
from emailflow_runtime.core.cloudevents.errors import InvalidAttribute, UnsupportedMediaType
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.cloudevents.json_format import RejectedItem
from emailflow_runtime.core.cloudevents.media_types import JSON, JSON_BATCH, Mode, content_mode

Headers = list[tuple[bytes, bytes]]


def decode(
    headers: Iterable[tuple[bytes, bytes]], body: bytes, *, max_items: int
) -> CloudEvent | list[CloudEvent | RejectedItem]:
    """The event of a request, or the items of a batch; headers that aren't CloudEvents' are passed over.

    An empty body is no data. Raises CodecError for a request that is no event, or no batch, as a whole.
    """
    content_type, attributes = ce_headers.read(
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    )
    mode = content_mode(content_type)
    if mode is Mode.STRUCTURED:
        return json_format.decode(body)
    if mode is Mode.BATCHED:
        return json_format.decode_batch(body, max_items=max_items)
    if not attributes:
        raise UnsupportedMediaType(f"Content-Type: expected {JSON} or {JSON_BATCH}, or else ce- headers")
    return _binary(content_type, attributes, body)


def encode_binary(event: CloudEvent) -> tuple[Headers, bytes]:
    """The event in binary mode: headers and body. No data and empty data are both an empty body."""
    headers = [
        (f"ce-{name}".encode(), ce_headers.encode_value(value).encode())
        for name, value in event.attributes.items()
        if name != "datacontenttype"
    ]
    if event.datacontenttype is not None:
        headers.append((b"content-type", event.datacontenttype.encode()))
    return headers, event.data or b""


def encode_structured(event: CloudEvent) -> tuple[Headers, bytes]:
    """The event in structured mode: headers and body."""
    return [(b"content-type", JSON.encode())], json_format.encode(event)


def encode_batch(events: Iterable[CloudEvent]) -> tuple[Headers, bytes]:
    """The events in batched mode: headers and body."""
    return [(b"content-type", JSON_BATCH.encode())], json_format.encode_batch(events)


def _binary(content_type: str, attributes: dict[str, str], body: bytes) -> CloudEvent:
    if "datacontenttype" in attributes:
        raise InvalidAttribute("ce-datacontenttype: expected Content-Type instead (HTTP binding, 3.1.1)")
    values = ce_headers.decode_values(attributes)
    if content_type:
        values["datacontenttype"] = content_type
    return make_event(values, body)
