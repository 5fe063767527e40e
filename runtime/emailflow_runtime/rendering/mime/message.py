"""A whole mail: its header, then text and HTML as alternatives, then attachments.

Writing is deterministic. Blind copies are not part of a Mail: they belong to the envelope alone.
"""

import hashlib
import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

import msgspec

from emailflow_api.plans import Address
from emailflow_runtime.rendering.mime.addresses import a_labels, address_field
from emailflow_runtime.rendering.mime.bodies import AttachedFile, attachment_part, text_part
from emailflow_runtime.rendering.mime.fields import LINE_LIMIT, InvalidHeader, check_name, text_field

_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")

WRITTEN_FIELDS = frozenset(
    {"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "mime-version"}
    | {"content-type", "content-transfer-encoding", "content-disposition", "content-id"}
)
"""Lower-case names that `Mail.headers` may not hold: they are written from a Mail's own fields, or never."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a mail says. Bodies may have any kind of line end."""

    id: str
    """The mail's own id; the boundaries are derived from it."""
    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str
    date: str
    """As RFC 5322 writes dates: see `date_text`."""
    message_id: str
    """With its angle brackets: see `message_id`."""
    text: str
    html: str
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[AttachedFile, ...] = ()


def message_id(mail_id: str, domain: str) -> str:
    """The Message-ID of the mail with this id (RFC 5322 3.6.4). Raises InvalidHeader for a broken domain."""
    return f"<{mail_id}@{a_labels(domain, field='Message-ID')}>"


def date_text(nanoseconds: int) -> str:
    """A time (nanoseconds since 1970-01-01 UTC) as RFC 5322 3.3 writes it, in UTC, to the second."""
    return _second(nanoseconds // 1_000_000_000)


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))


def write(mail: Mail) -> bytes:
    """The mail as RFC 5322 bytes with CRLF line ends.

    7-bit clean, but for addresses whose local part is not ASCII: their header is UTF-8 then (RFC 6532),
    and only such a result is not ASCII. Raises InvalidHeader or InvalidBody, naming what is wrong.
    """
    boundary = hashlib.sha256(mail.id.encode()).hexdigest()[:32]
    kind, body = _alternative(mail, f"=_a{boundary}")
    if mail.attachments:
        parts = [f"Content-Type: {kind}\r\n\r\n".encode() + body, *map(attachment_part, mail.attachments)]
        kind, body = _multipart("mixed", f"=_m{boundary}", parts)
    lines = [*_header(mail), "MIME-Version: 1.0", f"Content-Type: {kind}", "", ""]
    return "\r\n".join(lines).encode() + body


def _header(mail: Mail) -> list[str]:
    if not _MESSAGE_ID.fullmatch(mail.message_id):
        raise InvalidHeader("Message-ID: expected <id@domain> in ASCII")
    lines = [address_field("From", (mail.sender,))]
    named = (("To", mail.to), ("Cc", mail.cc), ("Reply-To", mail.reply_to))
    lines += [address_field(name, mailboxes) for name, mailboxes in named if mailboxes]
    lines.append(text_field("Subject", mail.subject))
    lines.append(text_field("Date", mail.date))
    lines.append(f"Message-ID: {mail.message_id}")
    lines += [_own_field(name, value) for name, value in mail.headers]
    return lines


def _own_field(name: str, value: str) -> str:
    """A field that may be structured: ASCII words are left alone, however long."""
    check_name(name)
    if name.lower() in WRITTEN_FIELDS:
        raise InvalidHeader(f"{name}: is written from the mail itself, expected another header")
    return text_field(name, value, longest=LINE_LIMIT)


def _alternative(mail: Mail, boundary: str) -> tuple[str, bytes]:
    """Text first: the last part is the one preferred (RFC 2046 5.1.4)."""
    return _multipart("alternative", boundary, [text_part("plain", mail.text), text_part("html", mail.html)])


def _multipart(subtype: str, boundary: str, parts: list[bytes]) -> tuple[str, bytes]:
    """Content-Type and body. `=_` can't occur in quoted-printable or base64 (RFC 2045 6.7), so neither can
    the boundary."""
    opening = f"--{boundary}\r\n".encode()
    body = b"".join([piece for part in parts for piece in (opening, part, b"\r\n")])
    return f'multipart/{subtype};\r\n boundary="{boundary}"', body + f"--{boundary}--\r\n".encode()
