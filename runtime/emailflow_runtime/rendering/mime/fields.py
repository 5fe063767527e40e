"""Header fields: encoded-words, folding, and the gate that no CR, LF or NUL passes.

A field is a str without its last CRLF; folds inside it are CRLF and a space. Nothing here knows which
fields a mail has.
"""

import binascii
import re
from collections.abc import Iterable

from emailflow_runtime.errors import EmailFlowError

LINE_GOAL = 76
"""Characters in a line where that is possible (RFC 2047 section 2; RFC 5322 2.1.1 would allow 78)."""
LINE_LIMIT = 998
"""Characters in a line at most (RFC 5322 2.1.1)."""

_WORD_PAYLOAD = 45
"""Octets in an encoded-word: 60 characters of base64 and 12 around them, of 75 (RFC 2047 section 2)."""
_WORD_FRAME = len("=?utf-8?b??=")

_NAME = re.compile(r"[!-9;-~]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*|")
_LOOKS_ENCODED = re.compile(r"=\?[^?]*\?[bq]\?", re.IGNORECASE)


class InvalidHeader(EmailFlowError):
    """A header field that can't be written: a control character, a broken address, a line too long."""

    reason = "InvalidHeader"


def check_text(field: str, value: str) -> None:
    """Raise InvalidHeader naming `field` when `value` holds a surrogate or a control character (not tab)."""
    if found := _FORBIDDEN.search(value):
        raise InvalidHeader(f"{field}: contains U+{ord(found[0]):04X}, expected no control character")


def check_name(name: str) -> None:
    """Raise InvalidHeader unless `name` is a header field name (RFC 5322 3.6.8) of at most 76 characters."""
    if len(name) > LINE_GOAL or not _NAME.fullmatch(name):
        raise InvalidHeader(f"{name[:LINE_GOAL]!r}: expected a header name in ASCII, no colon, no space")


def is_plain(text: str) -> bool:
    """Whether `text` reads the same with and without RFC 2047: printable ASCII, single spaces inside."""
    return _PLAIN.fullmatch(text) is not None and not ("=?" in text and _LOOKS_ENCODED.search(text))


def encoded_words(text: str, *, column: int) -> list[str]:
    """`text` as RFC 2047 encoded-words (UTF-8, base64), the first one short enough to start at `column`.

    No character is split between two words (RFC 2047 section 5).
    """
    data = text.encode()
    room = max((LINE_GOAL - column - _WORD_FRAME) // 4 * 3, 6)
    words, start = [], 0
    while start < len(data):
        end = start + min(room, _WORD_PAYLOAD)
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        payload = binascii.b2a_base64(data[start:end], newline=False).decode()
        words.append(f"=?utf-8?b?{payload}?=")
        start, room = end, _WORD_PAYLOAD
    return words


def fold(name: str, words: Iterable[str]) -> str:
    """The field `name` with `words` set one space apart and folded between them.

    Raises InvalidHeader for a word that would make a line longer than 998 characters.
    """
    lines: list[str] = []
    line = f"{name}:"
    for word in words:
        if len(line) + 1 + len(word) > LINE_GOAL and (lines or len(line) > len(name) + 1):
            lines.append(line)
            line = ""
        line = f"{line} {word}"
        if len(line) > LINE_LIMIT:
            raise InvalidHeader(f"{name}: a word of {len(word)} characters, expected at most {LINE_LIMIT}")
    lines.append(line)
    return "\r\n".join(lines)


def text_field(name: str, value: str, *, longest: int = LINE_GOAL - 1) -> str:
    """An unstructured field. Plain text stays as it is while its words are at most `longest` characters.

    Raises InvalidHeader (control characters, surrogates, a name that is none).
    """
    check_text(name, value)
    if is_plain(value):
        if len(name) + 2 + len(value) <= LINE_GOAL:
            return f"{name}: {value}"
        words = value.split(" ")
        if len(name) + 2 + max(map(len, words)) <= longest:
            return fold(name, words)
    return fold(name, encoded_words(value, column=len(name) + 2))
