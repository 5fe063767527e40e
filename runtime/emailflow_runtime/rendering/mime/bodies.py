"""Bodies and attachments: each as MIME part, in base64 or quoted-printable, so always 7-bit clean.

Nothing here decides what a mail contains, or reads a file.
"""

import binascii
import re
import struct
from urllib.parse import quote

import msgspec

from emailflow_runtime.errors import EmailFlowError
from emailflow_runtime.rendering.mime.fields import InvalidHeader, check_text, fold, is_plain

_QUOTED_PRINTABLE_UP_TO = 4096
"""Octets. Quoted-printable stays readable but costs four times the time of base64 (docs/adr/0006): worth it
for a text part, not for a page of HTML."""
_PRINTABLE = b"\t\n" + bytes(set(range(32, 127)) - {ord("=")})
_LONGEST_FILE_NAME = 255
_MEDIA_TYPE = re.compile(r"(?i:(?!message/|multipart/)[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,63})")
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`{|}~"
"""What RFC 2231 lets stand unencoded besides letters and digits (attribute-char)."""


class InvalidBody(EmailFlowError):
    """A body that is no Unicode text (it has surrogates)."""

    reason = "InvalidBody"


class AttachedFile(msgspec.Struct, frozen=True):
    """A file that goes with a mail."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


def text_part(subtype: str, text: str) -> bytes:
    """Headers and body of `text/<subtype>` in UTF-8. Line ends of any kind become CRLF.

    Raises InvalidBody naming the part.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidBody(f"{subtype}: a surrogate at {error.start}, expected Unicode text") from error
    encoding, body = _quoted_printable(data) if _prefers_quoted_printable(data) else _base64(data)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n"
    return head.encode() + body


def _prefers_quoted_printable(data: bytes) -> bool:
    """Whether quoted-printable is worth its time and is the shorter one (an escape takes three octets)."""
    return len(data) <= _QUOTED_PRINTABLE_UP_TO and 6 * len(data.translate(None, _PRINTABLE)) <= len(data)


def _quoted_printable(data: bytes) -> tuple[str, bytes]:
    """RFC 2045 6.7, after the blank line. No line starts with `From `: mailboxes may turn it to `>From `."""
    body = b"\r\n" + binascii.b2a_qp(data).replace(b"\n", b"\r\n")
    return "quoted-printable", body.replace(b"\r\nFrom ", b"\r\nF=\r\nrom ")


def _base64(data: bytes) -> tuple[str, bytes]:
    return "base64", b"\r\n" + base64_lines(data.replace(b"\n", b"\r\n"))


def base64_lines(data: bytes) -> bytes:
    """Base64 in lines of 76 characters (RFC 2045 6.8), without a last line end."""
    encoded = binascii.b2a_base64(data, newline=False)
    full, rest = divmod(len(encoded), 76)
    return b"\r\n".join(struct.unpack("76s" * full + f"{rest}s", encoded))


def attachment_part(file: AttachedFile) -> bytes:
    """Headers and body of an attachment. Raises InvalidHeader for its name or media type."""
    if not _MEDIA_TYPE.fullmatch(file.media_type):
        raise InvalidHeader("Content-Type: expected a media type, neither message/* nor multipart/*")
    head = [
        f"Content-Type: {file.media_type}",
        "Content-Transfer-Encoding: base64",
        fold("Content-Disposition", ["attachment;", *_file_name(file.name)]),
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + base64_lines(file.content)


def _file_name(name: str) -> list[str]:
    """The parameter `filename`: quoted, or in pieces of percent-encoded UTF-8 (RFC 2231 sections 3 and 4)."""
    check_text("Content-Disposition", name)
    if not 0 < len(name.encode()) <= _LONGEST_FILE_NAME:
        raise InvalidHeader(f"Content-Disposition: expected a file name of 1 to {_LONGEST_FILE_NAME} octets")
    if is_plain(name) and len(name) <= 60:
        escaped = name.replace("\\", r"\\").replace('"', r"\"")
        return [f'filename="{escaped}"']
    pieces = re.findall(r"(?:%..|[^%]){1,16}", quote(name, safe=_ATTRIBUTE_CHARACTERS))
    if len(pieces) == 1:
        return [f"filename*=utf-8''{pieces[0]}"]
    first = f"filename*0*=utf-8''{pieces[0]};"
    middle = [f"filename*{number}*={piece};" for number, piece in enumerate(pieces[1:-1], start=1)]
    return [first, *middle, f"filename*{len(pieces) - 1}*={pieces[-1]}"]
