"""How attribute values stand in headers (HTTP and NATS bindings, section 3.1.3.2)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emailflow_runtime.core.cloudevents.errors import CodecError, InvalidAttribute
from emailflow_runtime.core.cloudevents.headers import decode_value, encode_value


def test_the_example_of_the_specification():
    assert encode_value("Euro € 😀") == "Euro%20%E2%82%AC%20%F0%9F%98%80"
    assert decode_value("subject", "Euro%20%E2%82%AC%20%F0%9F%98%80") == "Euro € 😀"


def test_only_space_quote_percent_and_the_unprintable_are_encoded():
    printable = "".join(map(chr, range(0x21, 0x7F)))
    assert encode_value(printable) == printable.replace("%", "%25").replace('"', "%22")
    assert encode_value(" ") == "%20"
    assert encode_value("\x7f") == "%7F"


def test_other_types_are_their_canonical_strings():
    assert [encode_value(v) for v in (True, False, 0, -7)] == ["true", "false", "0", "-7"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("with space", "with space"),
        ("%e2%82%ac", "€"),
        ("%41%2f", "A/"),
        ("%2541", "%41"),
        ("a+b", "a+b"),
        ('"a b"', "a b"),
        ('"a \\"b\\" \\\\c"', 'a "b" \\c'),
        ('"%22"', '"'),
        ('""', ""),
        ('say "hi"', 'say "hi"'),
    ],
)
def test_values_are_unquoted_then_percent_decoded_once(header, value):
    assert decode_value("subject", header) == value


@pytest.mark.parametrize(
    "header",
    [
        "%C0%A0",
        "%ED%A0%80",
        "%FF",
        "%E2%82",
        "%",
        "100%",
        "%4",
        "%zz",
        "%u20AC",
        "€",
        "a\tb",
        "\x00",
        '"a',
        '"a"b"',
        '"a\\"',
    ],
)
def test_what_is_no_encoding_of_utf8_text_is_refused(header):
    with pytest.raises(InvalidAttribute, match=r"^ce-subject: expected"):
        decode_value("subject", header)


@given(st.text())
def test_every_text_survives(text):
    try:
        header = encode_value(text)
    except UnicodeEncodeError:
        assert any("\ud800" <= c <= "\udfff" for c in text)
        return
    assert header.isascii()
    assert " " not in header
    assert decode_value("subject", header) == text


@given(st.text())
def test_no_header_causes_another_error(header):
    with contextlib.suppress(CodecError):
        assert isinstance(decode_value("subject", header), str)
