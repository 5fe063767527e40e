"""Which attributes make a CloudEvent 1.0, whatever binding they came by."""

import pytest

from emailflow_runtime.core.cloudevents import errors
from emailflow_runtime.core.cloudevents.attributes import (
    MAX_ATTRIBUTES,
    MAX_NAME,
    MAX_TYPE,
    MAX_VALUE,
    make_event,
)

MINIMUM = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.example.cart.updated"}


def make(data=None, /, **attributes):
    return make_event({k: v for k, v in (MINIMUM | attributes).items() if v is not None}, data)


def test_the_four_required_attributes_suffice_and_nothing_is_added():
    event = make()
    assert event.attributes == MINIMUM
    assert (event.time, event.subject, event.datacontenttype, event.dataschema) == (None,) * 4
    assert event.data is None


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_a_missing_required_attribute_is_named(name):
    with pytest.raises(errors.MissingAttribute, match=f"^{name}: "):
        make(**{name: None})


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "datacontenttype", "dataschema"])
@pytest.mark.parametrize("value", ["", 5, True])
def test_specified_attributes_are_non_empty_strings(name, value):
    with pytest.raises(errors.InvalidAttribute, match=f"^{name}: "):
        make(**{name: value})


@pytest.mark.parametrize("version", ["0.3", "1.0.2", "2.0", "", "1"])
def test_only_specversion_1_0_is_known(version):
    with pytest.raises(errors.UnknownSpecVersion, match="specversion"):
        make(specversion=version)


def test_another_specversion_is_told_before_any_other_fault():
    with pytest.raises(errors.UnknownSpecVersion):
        make_event({"specversion": "0.3", "schemaURL": "x"}, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "https://github.com/cloudevents"),
        ("source", "mailto:cncf-wg-serverless@lists.cncf.io"),
        ("source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
        ("source", "cloudevents/spec/pull/123"),
        ("source", "//github.com/cloudevents/conformance/yaml/v1.yaml"),
        ("source", "1-555-123-4567"),
        ("source", "#fragment"),
        ("source", "/a%20b?c=d/e?f"),
        ("source", "http://[::1]:8080/"),
        ("dataschema", "https://example.com/schemas/cart.json"),
        ("dataschema", "https://example.com/schemas.json#/defs/cart"),
        ("dataschema", "urn:schema:cart:2"),
        ("time", "2018-04-05T17:31:00Z"),
        ("time", "2018-04-05t17:31:00.123456789z"),
        ("time", "2024-02-29T23:59:60+14:00"),
        ("datacontenttype", "application/json"),
        ("datacontenttype", 'multipart/mixed; boundary="a b;c" ;charset=utf-8'),
        ("subject", "Größe 😀"),
        ("comexampleextension1", ""),
        ("comexampleothervalue", -(2**31)),
        ("a" * MAX_NAME, True),
        ("type", "x" * MAX_TYPE),
        ("subject", "é" * (MAX_VALUE // 2)),
    ],
)
def test_values_of_the_specified_syntax_are_kept(name, value):
    event = make(**{name: value})
    assert event.attributes[name] == value
    assert type(event.attributes[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "has space"),
        ("source", "/über"),
        ("source", "/100%"),
        ("source", "a#b#c"),
        ("source", "1:2"),
        ("source", "http://[::1"),
        ("dataschema", "/relative"),
        ("dataschema", "cart.json"),
        ("time", "yesterday"),
        ("time", "2018-04-05"),
        ("time", "2018-04-05 17:31:00Z"),
        ("time", "2018-04-05T17:31:00"),
        ("time", "2023-02-29T00:00:00Z"),
        ("time", "1900-02-29T00:00:00Z"),
        ("time", "2018-13-01T00:00:00Z"),
        ("time", "2018-04-05T24:00:00Z"),
        ("time", "2018-04-05T17:31:00+24:00"),
        ("time", "\uff12018-04-05T17:31:00Z"),
        ("datacontenttype", "xml"),
        ("datacontenttype", "application/json; charset"),
        ("datacontenttype", "text/plain, text/html"),
        ("subject", "a\x00b"),
        ("subject", "a\nb"),
        ("subject", "a\x85b"),
        ("subject", "a\ud800b"),
        ("subject", "a\ufffeb"),
        ("subject", "a\U0010ffffb"),
        ("comexample", "a\x7fb"),
        ("type", "x" * (MAX_TYPE + 1)),
        ("subject", "é" * (MAX_VALUE // 2) + "x"),
    ],
)
def test_values_of_any_other_syntax_are_refused_and_named_but_not_repeated(name, value):
    with pytest.raises(errors.InvalidAttribute, match=f"^{name}: expected") as caught:
        make(**{name: value})
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["my-ext", "myExt", "my_ext", "", "größe", "data", "a" * (MAX_NAME + 1), "a\n"]
)
def test_names_are_lower_case_letters_and_digits(name):
    with pytest.raises(errors.InvalidAttribute, match="expected a name"):
        make(**{name: "x"})


def test_the_number_of_attributes_is_limited():
    room = MAX_ATTRIBUTES - len(MINIMUM)
    assert len(make(**{f"e{n}": "" for n in range(room)}).extensions) == room
    with pytest.raises(errors.TooManyAttributes):
        make(**{f"e{n}": "" for n in range(room + 1)})


def test_all_attributes_together_are_limited():
    with pytest.raises(errors.TooLarge):
        make(**{f"e{n}": "x" * MAX_VALUE for n in range(4)})


@pytest.mark.parametrize("datacontenttype", ["application/json", "Application/Vnd.X+JSON; charset=utf-8"])
def test_data_declared_as_json_is_json(datacontenttype):
    assert make(b'{"a": 1e400}\n', datacontenttype=datacontenttype).data == b'{"a": 1e400}\n'
    for malformed in (b"{'a': 1}", b'"\xff"', b"{} {}", b'"\\ud800"', b"\xef\xbb\xbf{}", b"NaN"):
        with pytest.raises(errors.MalformedJson, match=r"^data: "):
            make(malformed, datacontenttype=datacontenttype)


def test_json_data_is_limited_in_depth():
    def nested(n):
        return b'{"a":' * (n - 1) + b"[]" + b"}" * (n - 1)

    assert make(nested(64), datacontenttype="application/json").data == nested(64)
    with pytest.raises(errors.TooDeep):
        make(nested(65), datacontenttype="application/json")


def test_brackets_in_strings_are_no_depth():
    data = b'["' + b"[" * 500 + b'\\"[{"]'
    assert make(data, datacontenttype="application/json").data == data


def test_data_that_declares_nothing_or_something_else_is_anything():
    assert make(b"[[[").data == b"[[["
    assert make(b"\xff\x00", datacontenttype="text/plain").data == b"\xff\x00"


def test_empty_data_is_no_data():
    assert make(b"", datacontenttype="text/plain").data is None
