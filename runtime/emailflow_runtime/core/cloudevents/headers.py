"""Attributes as headers: the names and the encoding of values that the HTTP and NATS bindings share.

Both describe it in their sections 3.1.3.1 and 3.1.3.2, word for word the same. What else a message's headers
say is the bindings' own matter.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from emailflow_runtime.core.cloudevents.errors import InvalidAttribute, RepeatedAttribute
from emailflow_runtime.core.cloudevents.event import ExtensionValue

_SAFE = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_NEEDS_NO_ENCODING = re.compile(r"[!#$&-~]*+")
_QUOTED_STRING = re.compile(r'"((?:[^"\\]|\\.)*+)"')
_ESCAPED = re.compile(r"\\(.)")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class MessageHeaders(NamedTuple):
    """What a message's headers say of CloudEvents. `attributes` are still encoded; absent: empty string."""

    content_type: str
    attributes: dict[str, str]


def read(headers: Iterable[tuple[str, str]]) -> MessageHeaders:
    """The Content-Type and the `ce-` headers, by attribute name. Names of headers have no case.

    Raises RepeatedAttribute when one of these comes twice.
    """
    content_type: str | None = None
    attributes: dict[str, str] = {}
    for header, value in headers:
        name = header.lower()
        if name[:3] == "ce-":
            name = name[3:]
            if name in attributes:
                raise RepeatedAttribute(f"{header[:64]!a}: expected this header once")
            attributes[name] = value
        elif name == "content-type":
            if content_type is not None:
                raise RepeatedAttribute("Content-Type: expected this header once")
            content_type = value
    return MessageHeaders(content_type or "", attributes)


def decode_values(attributes: Mapping[str, str]) -> dict[str, ExtensionValue]:
    """The attributes with their values decoded. Raises InvalidAttribute."""
    return {name: decode_value(name, text) for name, text in attributes.items()}


def encode_value(value: ExtensionValue) -> str:
    """The value as printable ASCII: percent-encoded are space, `"`, `%` and what isn't printable ASCII."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return encode_text(value)


def encode_text(text: str) -> str:
    """The same for a value that is a string."""
    return text if _NEEDS_NO_ENCODING.fullmatch(text) else quote(text, safe=_SAFE)


def decode_value(name: str, text: str) -> str:
    """What `text`, the header of attribute `name`, means: unquoted, then percent-decoded once.

    Raises InvalidAttribute: not printable ASCII, an open quote, `%` without two hexadecimal digits, or
    bytes that are not UTF-8 (overlong forms are not).
    """
    if not (text.isascii() and text.isprintable()):
        raise InvalidAttribute(f"{_shown(name)}: expected printable ASCII, the rest percent-encoded as UTF-8")
    if text.startswith('"'):
        if (quoted := _QUOTED_STRING.fullmatch(text)) is None:
            raise InvalidAttribute(f"{_shown(name)}: expected the quoted value to end with its closing quote")
        text = _ESCAPED.sub(r"\1", quoted[1])
    if "%" not in text:
        return text
    if _BAD_PERCENT.search(text):
        raise InvalidAttribute(f"{_shown(name)}: expected two hexadecimal digits after each %")
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise InvalidAttribute(f"{_shown(name)}: expected the percent-encoded bytes to be UTF-8") from None


def _shown(name: str) -> str:
    """The name as messages may show it: it comes from outside and is not checked yet."""
    return f"ce-{ascii(name[:64])[1:-1]}"
