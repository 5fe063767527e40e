"""One event, and batches of them, as JSON (JSON Event Format 1.0.2)."""

import json

import pytest

from emailflow_runtime.core.cloudevents import errors, json_format
from emailflow_runtime.core.cloudevents.attributes import make_event
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.cloudevents.json_format import RejectedItem

REQUIRED = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.example.cart.updated"}
MINIMUM = '"specversion":"1.0","id":"1","source":"/shop","type":"com.example.cart.updated"'


def decode(members="", text=None):
    return json_format.decode((text or f"{{{MINIMUM}{members and ','}{members}}}").encode())


def test_an_event_has_what_the_object_says_and_nothing_else():
    event = decode('"subject":"Gr\\u00f6\\u00dfe","flag":true,"count":-5,"note":"x","time":null')
    assert event == CloudEvent(
        id="1",
        source="/shop",
        type="com.example.cart.updated",
        subject="Größe",
        extensions={"flag": True, "count": -5, "note": "x"},
    )


@pytest.mark.parametrize(
    "value",
    [
        "1.0",
        "1e400",
        "-0",
        "12345678901234567890123",
        "null",
        '""',
        '"\\u20ac"',
        "[1 , 2]",
        '{"a": {"b":1.50}}',
    ],
)
def test_json_data_keeps_its_bytes(value):
    assert decode(f'"data" : {value} ').data == value.encode()
    assert decode(f'"datacontenttype":"text/json","data" : {value} ').data == value.encode()


def test_text_data_is_the_content_of_the_string():
    event = decode('"datacontenttype":"application/xml","data":"<much wow=\\"xml\\"/>€"')
    assert event.data == '<much wow="xml"/>€'.encode()


def test_base64_data_is_bytes():
    assert decode('"datacontenttype":"image/png","data_base64":"/wD+"').data == b"\xff\x00\xfe"
    assert decode('"data":1,"data_base64":null').data == b"1"
    assert decode('"data_base64":null').data is None


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ('"data":1,"data_base64":"MQ=="', errors.DataConflict),
        ('"data":null,"data_base64":"MQ=="', errors.DataConflict),
        ('"data_base64":"MQ"', errors.InvalidData),
        ('"data_base64":"M Q=="', errors.InvalidData),
        ('"data_base64":"_-8="', errors.InvalidData),
        ('"data_base64":1', errors.InvalidData),
        ('"datacontenttype":"text/plain","data":{}', errors.InvalidData),
        ('"datacontenttype":"text/plain","data":null', errors.InvalidData),
        ('"datacontenttype":"text/plain; charset=iso-8859-1","data":"x"', errors.InvalidData),
        ('"datacontenttype":"application/json","data_base64":"e30="', None),
        ('"datacontenttype":"application/json","data_base64":"ew=="', errors.MalformedJson),
        ('"id":"2"', errors.RepeatedAttribute),
        ('"\\u0069d":"1"', errors.RepeatedAttribute),
        ('"data":1,"data":1', errors.RepeatedAttribute),
        ('"dataContentType":"application/json"', errors.InvalidAttribute),
        ('"ext":1.0', errors.InvalidAttribute),
        ('"ext":1e2', errors.InvalidAttribute),
        ('"ext":2147483648', errors.InvalidAttribute),
        ('"ext":123456789012345678901234567890', errors.InvalidAttribute),
        ('"ext":{}', errors.InvalidAttribute),
        ('"ext":[]', errors.InvalidAttribute),
        ('"ext":"\\u0000"', errors.InvalidAttribute),
        ('"ext":"\\udead"', errors.MalformedJson),
        ('"subject":5', errors.InvalidAttribute),
        ('"time":true', errors.InvalidAttribute),
        ('"ext":', errors.MalformedJson),
        ('"ext":01', errors.MalformedJson),
        ('"ext":NaN', errors.MalformedJson),
    ],
)
def test_members_that_break_a_rule(members, error):
    if error is None:
        assert decode(members)
        return
    with pytest.raises(error) as caught:
        decode(members)
    assert caught.value.reason == error.__name__


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"x"', "{", "{}}", "\ufeff{}", "{'id':1}"])
def test_anything_but_one_object_is_malformed(text):
    with pytest.raises(errors.CodecError) as caught:
        json_format.decode(text.encode())
    assert caught.value.reason == "MalformedJson"


def test_bytes_that_are_not_utf8_are_malformed_wherever_they_stand():
    with pytest.raises(errors.MalformedJson, match="UTF-8"):
        json_format.decode(f'{{{MINIMUM},"data":"?"}}'.encode().replace(b"?", b"\xc0\xa0"))


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_ten_thousand_levels_are_too_deep(opening):
    closing = "]" if opening == "[" else "}"
    with pytest.raises(errors.TooDeep):
        decode(f'"data":{opening * 10_000}1{closing * 10_000}')
    with pytest.raises(errors.TooDeep):
        json_format.decode_batch((opening * 10_000).encode(), max_items=10)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" + "[]," * 500 + "1]", None),
        ("[" * 62 + "[1],{}" + "]" * 62, None),
        ("[" * 65 + "]" * 65, "TooDeep"),
        ('[{"a":' * 33 + "1" + "}]" * 33, "TooDeep"),
        ("[" * 65, "TooDeep"),
        ("[" + "[]," * 500, "MalformedJson"),
        ("]" * 500, "MalformedJson"),
        ('["' + "[" * 500, "MalformedJson"),
    ],
)
def test_depth_is_what_is_open_at_once(text, reason):
    if reason is None:
        assert decode(f'"data":{text}').data == text.encode()
        return
    with pytest.raises(errors.CodecError) as caught:
        make_event({"datacontenttype": "application/json"} | REQUIRED, text.encode())
    assert caught.value.reason == reason


def test_a_bad_item_leaves_the_others_of_its_batch_alone():
    text = f'[{{{MINIMUM}}}, {{"id":"b"}}, 7, {{{MINIMUM},"id":"c"}}, {{{MINIMUM},"time":"?"}}]'
    first, second, third, fourth, fifth = json_format.decode_batch(text.encode(), max_items=5)
    assert isinstance(first, CloudEvent)
    faults = [(item.id, item.error.reason) for item in (second, third, fourth, fifth)]
    assert faults == [
        ("b", "MissingAttribute"),
        (None, "MalformedJson"),
        (None, "RepeatedAttribute"),
        ("1", "InvalidAttribute"),
    ]


def test_a_batch_may_be_empty():
    assert json_format.decode_batch(b" [ ] ", max_items=1) == []


def test_a_batch_is_limited_in_items():
    with pytest.raises(errors.TooLarge):
        json_format.decode_batch(b"[{},{}]", max_items=1)


@pytest.mark.parametrize("text", [b"", b"{}", b"[", b"[1", b"null", b"\xff"])
def test_a_batch_is_an_array(text):
    with pytest.raises(errors.MalformedJson):
        json_format.decode_batch(text, max_items=10)


@pytest.mark.parametrize(
    ("datacontenttype", "data", "member", "value"),
    [
        (None, b'{"n":1.0}', "data", {"n": 1.0}),
        ("application/json", b'"x"', "data", "x"),
        ("text/plain", "é\n".encode(), "data", "é\n"),
        ("text/plain", b"\xff", "data_base64", "/w=="),
        ("text/plain; charset=iso-8859-1", b"x", "data_base64", "eA=="),
        ("application/json", b" 1", "data_base64", "IDE="),
        (None, b"not json", "data_base64", "bm90IGpzb24="),
    ],
)
def test_data_is_written_readably_where_that_keeps_its_bytes(datacontenttype, data, member, value):
    event = CloudEvent(id="1", source="/s", type="t", datacontenttype=datacontenttype, data=data)
    text = json_format.encode(event)
    written = json.loads(text)
    assert {k: written[k] for k in written if k.startswith("data_") or k == "data"} == {member: value}
    assert json_format.decode(text) == event


def test_rejected_items_say_why():
    (item,) = json_format.decode_batch(b"[{}]", max_items=1)
    assert isinstance(item, RejectedItem)
    assert str(item.error) == "specversion: expected a non-empty string, got nothing"
