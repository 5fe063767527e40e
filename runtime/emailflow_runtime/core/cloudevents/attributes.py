"""From attributes and data to an event: the rules of CloudEvents 1.0.2 that hold in every binding and format.

The codecs find attributes in bytes; whether they make an event is decided here, and only here.
"""

import re
from collections.abc import Mapping

import msgspec

from emailflow_runtime.core.cloudevents import syntax
from emailflow_runtime.core.cloudevents.errors import (
    InvalidAttribute,
    InvalidData,
    MalformedJson,
    MissingAttribute,
    TooDeep,
    TooLarge,
    TooManyAttributes,
    UnknownSpecVersion,
)
from emailflow_runtime.core.cloudevents.event import CloudEvent, ExtensionValue, is_json

SPEC_VERSION = "1.0"
MAX_ATTRIBUTES = 64
MAX_NAME = 64
"""Characters of a name. CloudEvents tells senders to keep to 20 (SHOULD); refusing the 21st helps nobody."""
MAX_VALUE = 4096
"""Bytes of one value, as UTF-8."""
MAX_TYPE = 255
"""Characters of `type`, which becomes part of a NATS subject."""
MAX_CONTEXT = 16_384
"""Bytes of all names and values; percent-encoded that stays below the 64 KiB JetStream has for headers."""
MAX_DEPTH = 64
"""Arrays and objects inside each other, in an event or its data."""

_SPECIFIED = frozenset(
    ("specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema")
)
_INTEGER_SIZE = len("-2147483648")
_NAME = re.compile(r"[a-z0-9]++")
# spec.md "Type System": control characters, surrogates and noncharacters are no part of a String.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
_raw = msgspec.json.Decoder(msgspec.Raw)


def make_event(attributes: Mapping[str, ExtensionValue], data: bytes | None) -> CloudEvent:
    """The event of these attributes (by CloudEvents name) and this data; empty data means no data.

    Raises UnknownSpecVersion, MissingAttribute, InvalidAttribute, TooManyAttributes, TooLarge; and
    MalformedJson or TooDeep for data that is declared to be JSON and isn't.
    """
    version = attributes.get("specversion")
    if version is not None and version != SPEC_VERSION:
        raise UnknownSpecVersion('specversion: expected "1.0"')
    if len(attributes) > MAX_ATTRIBUTES:
        raise TooManyAttributes(f"expected at most {MAX_ATTRIBUTES} attributes, got {len(attributes)}")
    if (size := _size(attributes)) > MAX_CONTEXT:
        raise TooLarge(f"expected at most {MAX_CONTEXT} bytes in all attributes together, got {size}")
    extensions = dict(attributes)
    event = CloudEvent(
        specversion=_required(extensions, "specversion"),
        id=_required(extensions, "id"),
        source=_required(extensions, "source"),
        type=_required(extensions, "type"),
        subject=_optional(extensions, "subject"),
        time=_optional(extensions, "time"),
        datacontenttype=_optional(extensions, "datacontenttype"),
        dataschema=_optional(extensions, "dataschema"),
        extensions=extensions,
        data=data or None,
    )
    _check_syntax(event)
    if event.data is not None and event.datacontenttype is not None and is_json(event.datacontenttype):
        check_json(event.data, "data")
    return event


def check_name(name: str) -> None:
    """Raises InvalidAttribute unless `name` follows CloudEvents' naming conventions and is not `data`."""
    if not _NAME.fullmatch(name) or name == "data" or len(name) > MAX_NAME:
        # Escaped and cut, since the name comes from outside.
        expected = f"a name of 1 to {MAX_NAME} lower-case letters and digits, not `data`"
        raise InvalidAttribute(f"attribute {name[:MAX_NAME]!a}: expected {expected}")


def check_json(text: bytes, what: str) -> None:
    """Raises MalformedJson or TooDeep unless `text` (messages call it `what`) is one JSON value in UTF-8."""
    if not syntax.json_depth_within(text, MAX_DEPTH):
        raise TooDeep(f"{what}: expected JSON nested at most {MAX_DEPTH} deep")
    try:
        text.decode()
        _raw.decode(text)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise MalformedJson(f"{what}: expected JSON in UTF-8: {error}") from None


def text_of(event: CloudEvent) -> str | None:
    """The data as text, or None when it isn't: no data, another charset than UTF-8, or not UTF-8."""
    if event.data is None or not is_utf8(event.datacontenttype):
        return None
    try:
        return event.data.decode()
    except UnicodeDecodeError:
        return None


def is_utf8(datacontenttype: str | None) -> bool:
    """Whether text of this media type is UTF-8 as far as it says so (US-ASCII is; so is no charset)."""
    return datacontenttype is None or syntax.charset(datacontenttype) in ("", "utf-8", "us-ascii")


def data_of_text(text: str, datacontenttype: str) -> bytes:
    """The data of a JSON string that stands for content which isn't JSON (JSON format, section 3.1.2).

    Raises InvalidData when the media type declares another charset than UTF-8.
    """
    if not is_utf8(datacontenttype):
        raise InvalidData("data: expected charset utf-8 in datacontenttype (others: as data_base64)")
    return text.encode()


def _size(attributes: Mapping[str, ExtensionValue]) -> int:
    """The bytes of all names and values, each of which is checked on the way."""
    total = 0
    for name, value in attributes.items():
        if name not in _SPECIFIED:
            check_name(name)
        total += len(name) + (_text_size(name, value) if isinstance(value, str) else _INTEGER_SIZE)
    return total


def _text_size(name: str, value: str) -> int:
    plain = value.isascii()
    if not (plain and value.isprintable()) and _FORBIDDEN.search(value):
        raise InvalidAttribute(f"{name}: expected no control characters, surrogates or noncharacters")
    size = len(value) if plain else len(value.encode())
    if size > MAX_VALUE:
        raise InvalidAttribute(f"{name}: expected at most {MAX_VALUE} bytes, got {size}")
    return size


def _required(attributes: dict[str, ExtensionValue], name: str) -> str:
    if (text := _optional(attributes, name)) is None:
        raise MissingAttribute(f"{name}: expected a non-empty string, got nothing")
    return text


def _optional(attributes: dict[str, ExtensionValue], name: str) -> str | None:
    value = attributes.pop(name, None)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidAttribute(f"{name}: expected a non-empty string")
    return value


def _check_syntax(event: CloudEvent) -> None:
    """The attributes whose values have a grammar (spec.md, sections of each)."""
    if len(event.type) > MAX_TYPE:
        raise InvalidAttribute(f"type: expected at most {MAX_TYPE} characters, got {len(event.type)}")
    if not syntax.is_uri_reference(event.source):
        raise InvalidAttribute("source: expected a URI-reference (RFC 3986)")
    if event.time is not None and not syntax.is_timestamp(event.time):
        raise InvalidAttribute("time: expected an RFC 3339 timestamp, as in 2026-03-07T20:00:00Z")
    if event.dataschema is not None and not syntax.is_uri(event.dataschema):
        raise InvalidAttribute("dataschema: expected an absolute URI (RFC 3986)")
    if event.datacontenttype is not None and not syntax.is_media_type(event.datacontenttype):
        raise InvalidAttribute("datacontenttype: expected a media type (RFC 2046), as in application/json")
