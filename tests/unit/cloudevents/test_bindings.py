"""Events as HTTP requests and as NATS messages: modes, headers, and who may say what where."""

import pytest

from emailflow_runtime.core.cloudevents import errors, http, nats
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.cloudevents.json_format import RejectedItem

BINARY = {
    "ce-specversion": "1.0",
    "ce-id": "1234-1234-1234",
    "ce-source": "/mycontext/subcontext",
    "ce-type": "com.example.someevent",
    "ce-time": "2018-04-05T03:56:24Z",
    "ce-comexampleothervalue": "5",
}
ENVELOPE = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a": 1.0}}'
IN_ENVELOPE = CloudEvent(id="1", source="/s", type="t", data=b'{"a": 1.0}')


def over_http(headers, body=b""):
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return http.decode(pairs, body, max_items=10)


def test_http_binary_mode():
    event = over_http(BINARY | {"content-type": "text/plain; charset=utf-8", "host": "x"}, b"hi\n")
    assert event == CloudEvent(
        id="1234-1234-1234",
        source="/mycontext/subcontext",
        type="com.example.someevent",
        time="2018-04-05T03:56:24Z",
        datacontenttype="text/plain; charset=utf-8",
        extensions={"comexampleothervalue": "5"},
        data=b"hi\n",
    )


def test_http_binary_mode_is_written_as_the_binding_says():
    event = CloudEvent(
        id="1", source="/s:80/?a=b", type="t", subject="a b", datacontenttype="text/plain", data=b"hi",
        extensions={"flag": True},
    )  # fmt: skip
    headers, body = http.encode_binary(event)
    assert dict(headers) == {
        b"ce-specversion": b"1.0",
        b"ce-id": b"1",
        b"ce-source": b"/s:80/?a=b",
        b"ce-type": b"t",
        b"ce-subject": b"a%20b",
        b"ce-flag": b"true",
        b"content-type": b"text/plain",
    }
    assert body == b"hi"


def test_nats_binary_mode_has_datacontenttype_of_its_own():
    headers = BINARY | {"ce-datacontenttype": "text/plain", "Content-Type": "image/png", "Nats-Msg-Id": "7"}
    event = nats.decode(headers, b"hi")
    assert event.datacontenttype == "text/plain"
    written, payload = nats.encode(event)
    assert written == BINARY | {"ce-datacontenttype": "text/plain"}
    assert payload == b"hi"


@pytest.mark.parametrize("decode", [over_http, nats.decode])
def test_names_of_headers_have_no_case(decode):
    assert decode({name.upper(): value for name, value in BINARY.items()}, b"").id == "1234-1234-1234"


@pytest.mark.parametrize("decode", [over_http, nats.decode])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+json",
        "Application/CloudEvents+JSON; charset=UTF-8",
        "application/cloudevents+json ;x=1",
    ],
)
def test_structured_mode(decode, content_type):
    assert decode({"Content-Type": content_type}, ENVELOPE) == IN_ENVELOPE


@pytest.mark.parametrize("decode", [over_http, nats.decode])
def test_in_structured_mode_the_payload_speaks_and_headers_do_not(decode):
    headers = {"content-type": "application/cloudevents+json", "ce-id": "%FF", "ce-datacontenttype": "x"}
    assert decode(headers, ENVELOPE) == IN_ENVELOPE


@pytest.mark.parametrize("decode", [over_http, nats.decode])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+xml",
        "application/cloudevents+avro",
        "application/cloudevents; charset=utf-16",
        "application/cloudevents+json; charset=utf-16",
        "application/cloudevents-batch+xml",
    ],
)
def test_event_formats_that_are_not_spoken(decode, content_type):
    with pytest.raises(errors.UnsupportedMediaType):
        decode(BINARY | {"content-type": content_type}, ENVELOPE)


@pytest.mark.parametrize(
    "content_type",
    ["application/cloudevents", "Application/CloudEvents ; charset=UTF-8", "application/cloudevents;x=y"],
)
def test_the_prefix_alone_is_json_on_nats_and_no_format_over_http(content_type):
    assert nats.decode({"Content-Type": content_type}, ENVELOPE) == IN_ENVELOPE
    assert nats.decode(BINARY | {"content-type": content_type}, ENVELOPE) == IN_ENVELOPE
    with pytest.raises(errors.UnsupportedMediaType):
        over_http({"content-type": content_type}, ENVELOPE)


@pytest.mark.parametrize("decode", [over_http, nats.decode])
def test_a_message_that_does_not_speak_cloudevents_at_all(decode):
    with pytest.raises(errors.UnsupportedMediaType, match=r"application/cloudevents\+json"):
        decode({"content-type": "application/json"}, b"{}")


@pytest.mark.parametrize("headers", [None, {}, {"Nats-Msg-Id": "7"}])
def test_a_nats_message_without_any_cloudevents_header_is_structured(headers):
    assert nats.decode(headers, ENVELOPE) == IN_ENVELOPE


def test_nats_has_no_batches():
    with pytest.raises(errors.UnsupportedMediaType):
        nats.decode({"Content-Type": "application/cloudevents-batch+json"}, b"[]")


@pytest.mark.parametrize("decode", [over_http, nats.decode])
def test_a_header_that_comes_twice_is_refused(decode):
    with pytest.raises(errors.RepeatedAttribute, match="CE-ID"):
        decode(BINARY | {"CE-ID": "2"}, b"")


def test_two_content_types_are_refused():
    with pytest.raises(errors.RepeatedAttribute, match="Content-Type"):
        http.decode([(b"content-type", b"text/plain")] * 2, b"", max_items=1)


def test_http_has_no_header_for_datacontenttype():
    with pytest.raises(errors.InvalidAttribute, match="Content-Type"):
        over_http(BINARY | {"ce-datacontenttype": "text/plain"})


@pytest.mark.parametrize("decode", [over_http, nats.decode])
@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"ce-specversion": "0.3"}, "UnknownSpecVersion"),
        ({"ce-subject": "%C0%A0"}, "InvalidAttribute"),
        ({"ce-time": "yesterday"}, "InvalidAttribute"),
        ({"ce-my-ext": "x"}, "InvalidAttribute"),
        ({"ce-": "x"}, "InvalidAttribute"),
        ({"ce-data": "x"}, "InvalidAttribute"),
        ({"ce-source": ""}, "InvalidAttribute"),
    ],
)
def test_bad_headers(decode, headers, reason):
    with pytest.raises(errors.CodecError) as caught:
        decode(BINARY | headers, b"")
    assert caught.value.reason == reason


def test_http_batches():
    headers, body = http.encode_batch([IN_ENVELOPE, IN_ENVELOPE])
    body = body[:-1] + b",{}]"
    first, second, third = http.decode(headers, body, max_items=3)
    assert (first, second) == (IN_ENVELOPE, IN_ENVELOPE)
    assert isinstance(third, RejectedItem)
