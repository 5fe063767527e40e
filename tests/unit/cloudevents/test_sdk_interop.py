"""What the CloudEvents SDK for Python writes is read here, and the other way round.

Where the SDK departs from the specification nothing is compared: it invents a time, keeps quotes around
quoted values and lets overlong UTF-8 pass.
"""

import json
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings import http as sdk_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent as SdkEvent

from emailflow_runtime.core.cloudevents import http
from emailflow_runtime.core.cloudevents.attributes import make_event

ATTRIBUTES = {
    "specversion": "1.0",
    "id": 'a "quoted" id, 100 %',
    "source": "https://example.com/a%20b?c=d#e",
    "type": "com.example.cart.updated",
    "subject": "Größe 😀",
    "time": "2026-03-07T20:00:00Z",
    "datacontenttype": "application/json",
    "dataschema": "https://example.com/schema.json",
    "comexample": "x",
}
DATA = {"total": 10, "name": "Größe"}


def sdk_event():
    return SdkEvent(ATTRIBUTES | {"time": datetime(2026, 3, 7, 20, tzinfo=UTC)}, DATA)


@pytest.mark.parametrize("write", [sdk_http.to_binary, sdk_http.to_structured])
def test_what_the_sdk_writes_is_read(write):
    message = write(sdk_event(), JSONFormat())
    headers = [(name.encode(), value.encode()) for name, value in message.headers.items()]
    event = http.decode(headers, message.body, max_items=1)
    assert event.attributes == ATTRIBUTES
    assert json.loads(event.data) == DATA


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (http.encode_binary, sdk_http.from_binary),
        (http.encode_structured, sdk_http.from_structured),
    ],
)
def test_what_is_written_the_sdk_reads(write, read):
    headers, body = write(make_event(ATTRIBUTES, json.dumps(DATA).encode()))
    message = sdk_http.HTTPMessage({name.decode(): value.decode() for name, value in headers}, body)
    event = read(message, JSONFormat())
    assert event.get_attributes() == sdk_event().get_attributes()
    assert event.get_data() == DATA
