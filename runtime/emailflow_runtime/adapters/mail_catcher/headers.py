"""Header fields of mails that others wrote: decoded for people, never failing on what is malformed.

The tolerant `compat32` parser is used on purpose: the strict one raises on some malformed fields and takes
ten times as long. Nothing here does I/O.
"""

import re
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime

from emailflow_api.plans import Address

_FOLD = re.compile(r"\r?\n(?=[ \t])")


def fields(message: Message) -> list[tuple[str, str]]:
    """Every field in order, unfolded, with encoded words still encoded."""
    return [(readable(name), _unfolded(str(value))) for name, value in message.raw_items()]


def field(message: Message, name: str) -> str:
    """The first field of that name, unfolded, with encoded words still encoded; empty without one."""
    name = name.lower()
    return next((value for key, value in fields(message) if key.lower() == name), "")


def decoded(value: str) -> str:
    """The text behind the encoded words of a field (RFC 2047); what can't be decoded stays as it is."""
    if "=?" not in value:
        return value
    try:
        chunks = decode_header(value)
    except HeaderParseError:
        return value
    return readable("".join(_chunk_text(chunk, charset) for chunk, charset in chunks))


def addresses(message: Message, name: str) -> tuple[Address, ...]:
    """The mailboxes of all fields of that name. Names are decoded after the split: they may hold commas."""
    values = [value for key, value in fields(message) if key.lower() == name.lower()]
    pairs = getaddresses(values)
    return tuple(Address(address=address, name=decoded(label)) for label, address in pairs if address)


def date(message: Message) -> int | None:
    """The Date field in nanoseconds since 1970, or None when it says nothing that can be read."""
    try:
        return int(parsedate_to_datetime(field(message, "Date")).timestamp()) * 1_000_000_000
    except (ValueError, TypeError, OverflowError):
        return None


def readable(text: str) -> str:
    """The text without surrogates: octets that the parser smuggled through are UTF-8 (RFC 6532)."""
    try:
        octets = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        octets = text.encode("utf-8", "replace")
    return octets.decode("utf-8", "replace")


def _unfolded(value: str) -> str:
    return _FOLD.sub("", readable(value)).strip()


def _chunk_text(chunk: str | bytes, charset: str | None) -> str:
    if isinstance(chunk, str):
        return chunk
    try:
        return chunk.decode(charset or "raw-unicode-escape", "replace")
    except (LookupError, ValueError):
        return chunk.decode("latin-1")
