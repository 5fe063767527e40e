"""Laws of the codecs, for every event and for all bytes."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.cloudevents import http, json_format, nats
from emailflow_runtime.core.cloudevents.attributes import make_event
from emailflow_runtime.core.cloudevents.errors import CodecError
from emailflow_runtime.core.cloudevents.headers import encode_value

NONCHARACTERS = {chr(p << 16 | low) for p in range(17) for low in (0xFFFE, 0xFFFF)} | set(
    map(chr, range(0xFDD0, 0xFDF0))
)
texts = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=NONCHARACTERS), min_size=1, max_size=40
)
names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(
    lambda name: (
        name
        not in {
            "data",
            "specversion",
            "id",
            "source",
            "type",
            "subject",
            "time",
            "datacontenttype",
            "dataschema",
        }
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_texts = st.builds(
    lambda value, space, indent: (space + json.dumps(value, indent=indent) + space).encode(),
    json_values,
    st.sampled_from(["", "\n", " \t"]),
    st.sampled_from([None, 1]),
)
payloads = st.one_of(
    st.tuples(st.none(), st.none() | st.binary()),
    st.tuples(st.sampled_from(["application/json", "a/b+json; charset=utf-8"]), st.none() | json_texts),
    st.tuples(
        st.sampled_from(["text/plain", "text/plain; charset=us-ascii", "text/csv; charset=latin1", "a/b"]),
        st.none() | st.binary() | st.text().map(lambda text: text.encode("utf-8", "replace")),
    ),
)


@st.composite
def events(draw):
    datacontenttype, data = draw(payloads)
    attributes = {
        "specversion": "1.0",
        "id": draw(texts),
        "source": draw(st.sampled_from(["/s", "https://example.com/a%20b?c#d", "urn:x:y"])),
        "type": draw(texts),
        "subject": draw(st.none() | texts),
        "time": draw(st.none() | st.datetimes().map(lambda t: t.isoformat() + "Z")),
        "datacontenttype": datacontenttype,
        "dataschema": draw(st.none() | st.just("https://example.com/schema")),
    }
    values = st.booleans() | st.integers(-(2**31), 2**31 - 1) | texts
    attributes |= draw(st.dictionaries(names, values, max_size=3))
    return make_event({k: v for k, v in attributes.items() if v is not None}, data)


def in_headers(event):
    """The event with its extensions as strings: all that headers can say of them."""
    extensions = {
        name: value if isinstance(value, str) else encode_value(value)
        for name, value in event.extensions.items()
    }
    return make_event(event.attributes | extensions, event.data)


@given(events())
def test_structured_events_come_back_as_they_were(event):
    assert http.decode(*http.encode_structured(event), max_items=1) == event
    assert nats.decode(*nats.encode_structured(event)) == event


@given(events())
def test_binary_events_come_back_as_they_were(event):
    assert http.decode(*http.encode_binary(event), max_items=1) == in_headers(event)
    assert nats.decode(*nats.encode(event)) == in_headers(event)


@given(events())
def test_the_logs_lines_are_the_headers(event):
    *lines, rest = nats.header_lines(event).split("\r\n")
    headers, _ = nats.encode(event)
    assert (sorted(lines), rest) == (sorted(f"{name}: {value}" for name, value in headers.items()), "")


@given(st.lists(events(), max_size=3))
def test_batches_come_back_as_they_were(batch):
    assert http.decode(*http.encode_batch(batch), max_items=3) == batch


@given(events(), st.data())
def test_no_damage_to_a_structured_event_causes_another_error(event, data):
    body = bytearray(json_format.encode(event))
    at = data.draw(st.integers(0, len(body) - 1))
    body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(CodecError):
        json_format.decode(bytes(body))
    with contextlib.suppress(CodecError):
        json_format.decode_batch(b"[" + body + b"]", max_items=9)


ce_headers = st.dictionaries(
    st.sampled_from(
        ["ce-id", "ce-source", "ce-type", "ce-specversion", "ce-time", "CE-x", "Content-Type", "y"]
    )
    | st.text(),
    st.sampled_from(["1.0", "application/cloudevents+json", "application/json"]) | st.text(),
    max_size=6,
)


@given(ce_headers, st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_message_causes_another_error(headers, body):
    with contextlib.suppress(CodecError):
        nats.decode(headers, body)
    pairs = [(n.encode("utf-8", "replace"), v.encode("utf-8", "replace")) for n, v in headers.items()]
    with contextlib.suppress(CodecError):
        http.decode(pairs, body, max_items=2)


@pytest.mark.parametrize("pattern", [b'"\\"', b"[\\", b'{"', b'["a",', b"\\\\"])
def test_a_megabyte_of_anything_is_refused_in_linear_time(pattern):
    with pytest.raises(CodecError):
        json_format.decode(pattern * (1_000_000 // len(pattern)))
