"""The JSON Event Format 1.0.2: one event as a JSON object, a batch as an array of them.

JSON data is neither parsed nor written anew: its bytes are cut out and put in as they are, so that 1.0,
1e400 and integers of any size stay what they were.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from emailflow_runtime.core.cloudevents import attributes as rules
from emailflow_runtime.core.cloudevents import syntax
from emailflow_runtime.core.cloudevents.errors import (
    CodecError,
    DataConflict,
    InvalidAttribute,
    InvalidData,
    MalformedJson,
    RepeatedAttribute,
    TooDeep,
    TooLarge,
)
from emailflow_runtime.core.cloudevents.event import CloudEvent, ExtensionValue, is_json

_INT32 = range(-(2**31), 2**31)
_WHITESPACE = b" \t\n\r"


class RejectedItem(NamedTuple):
    """An item of a batch that is no event: why, and its `id` if that could be read."""

    id: str | None
    error: CodecError


class _Member:
    """The name of one member. Compared by identity, so that a dict keeps members of the same name apart."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _member(_: type, name: Any) -> _Member:
    return _Member(name)


_members = msgspec.json.Decoder(dict[_Member, msgspec.Raw], dec_hook=_member)
_items = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)
_number = msgspec.json.Decoder(int)
_encoder = msgspec.json.Encoder()


def decode(text: bytes) -> CloudEvent:
    """The event in `text`, a JSON object in UTF-8.

    Raises CodecError. A member named twice is refused, also where other parsers would take the last one.
    """
    _check_text(text, rules.MAX_DEPTH)
    return _event(_object(text))


def decode_batch(text: bytes, *, max_items: int) -> list[CloudEvent | RejectedItem]:
    """The events in `text`, a JSON array, each on its own: a bad one leaves the others alone.

    Raises MalformedJson or TooDeep when it isn't an array at all, TooLarge when it has more than `max_items`.
    """
    _check_text(text, rules.MAX_DEPTH + 1)
    try:
        items = _items.decode(text)
    except msgspec.DecodeError as error:
        raise MalformedJson(f"batch: expected a JSON array of events: {error}") from None
    if len(items) > max_items:
        raise TooLarge(f"batch: expected at most {max_items} events, got {len(items)}")
    return [_item(bytes(item)) for item in items]


def encode(event: CloudEvent) -> bytes:
    """The event as a JSON object.

    JSON data becomes `data` as it is, other text a string; what neither fits byte for byte (binary data,
    other charsets, JSON with white space around it) becomes `data_base64`.
    """
    return _encoder.encode(_envelope(event))


def encode_batch(events: Iterable[CloudEvent]) -> bytes:
    """The events as a JSON array."""
    return _encoder.encode([_envelope(event) for event in events])


def _item(text: bytes) -> CloudEvent | RejectedItem:
    members: dict[str, msgspec.Raw] = {}
    try:
        members = _object(text)
        return _event(members)
    except CodecError as error:
        return RejectedItem(_readable_id(members), error)


def _readable_id(members: dict[str, msgspec.Raw]) -> str | None:
    raw = bytes(members.get("id", b""))
    return _string.decode(raw) if raw[:1] == b'"' and len(raw) <= rules.MAX_VALUE else None


def _check_text(text: bytes, max_depth: int) -> None:
    if not syntax.json_depth_within(text, max_depth):
        raise TooDeep(f"body: expected JSON nested at most {max_depth} deep")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson(f"body: expected JSON in UTF-8: {error}") from None


def _object(text: bytes) -> dict[str, msgspec.Raw]:
    try:
        members = _members.decode(text)
    except msgspec.DecodeError as error:
        raise MalformedJson(f"event: expected a JSON object: {error}") from None
    by_name: dict[str, msgspec.Raw] = {}
    for member, value in members.items():
        if member.name in by_name:
            raise RepeatedAttribute(f"{member.name[:64]!a}: expected this member once")
        by_name[member.name] = value
    return by_name


def _event(members: dict[str, msgspec.Raw]) -> CloudEvent:
    data, base64 = members.pop("data", None), members.pop("data_base64", None)
    attributes: dict[str, ExtensionValue] = {}
    for name, raw in members.items():
        if (value := _attribute(name, raw)) is not None:
            attributes[name] = value
    return rules.make_event(attributes, _data(data, base64, attributes.get("datacontenttype")))


def _attribute(name: str, raw: msgspec.Raw) -> ExtensionValue | None:
    """The member's value; None when it is null, which means that it isn't there (section 2.2)."""
    text = bytes(raw)
    if text[0] == 0x22:
        return _string.decode(text)
    if text in (b"true", b"false"):
        return text == b"true"
    if text == b"null":
        return None
    # Longer than any 32-bit integer is refused unread: parsing takes time that grows with the square.
    if text.lstrip(b"-").isdigit() and len(text) <= 11 and (number := _number.decode(text)) in _INT32:
        return number
    rules.check_name(name)
    raise InvalidAttribute(f"{name}: expected a string, a boolean, a 32-bit integer or null")


def _data(
    data: msgspec.Raw | None, base64: msgspec.Raw | None, datacontenttype: ExtensionValue | None
) -> bytes | None:
    """The bytes of `data` or `data_base64` (section 3.1.2)."""
    if base64 is not None and (text := bytes(base64)) != b"null":
        if data is not None:
            raise DataConflict("data, data_base64: expected one of them, got both")
        return _binary(text)
    if data is None:
        return None
    content = bytes(data)
    media_type = datacontenttype if isinstance(datacontenttype, str) else None
    if media_type is None or is_json(media_type):
        return content
    if content[0] != 0x22:
        raise InvalidData("data: expected a string, since datacontenttype declares that it is not JSON")
    return rules.data_of_text(_string.decode(content), media_type)


def _binary(raw: bytes) -> bytes:
    if raw[0] != 0x22 or not syntax.is_base64(text := _string.decode(raw)):
        raise InvalidData("data_base64: expected a string of Base64 with padding (RFC 4648 section 4)")
    return b64decode(text)


def _envelope(event: CloudEvent) -> dict[str, Any]:
    envelope: dict[str, Any] = dict(event.attributes)
    if event.data is None:
        return envelope
    if is_json(event.datacontenttype):
        if _is_bare_json(event.data):
            return envelope | {"data": msgspec.Raw(event.data)}
    elif (text := rules.text_of(event)) is not None:
        return envelope | {"data": text}
    return envelope | {"data_base64": b64encode(event.data).decode()}


def _is_bare_json(data: bytes) -> bool:
    """Whether `data` is one JSON value with no white space around it."""
    if data.strip(_WHITESPACE) != data:
        return False
    try:
        rules.check_json(data, "data")
    except CodecError:
        return False
    return True
