"""A mail's octets read as a message: its summary for lists and its whole content for one page.

Whatever arrives can be read; a malformed mail gives an odd message, never an error. Nothing here does I/O.
"""

import email
import re
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import BytesHeaderParser

import msgspec

from emailflow_api.plans import Address
from emailflow_runtime.adapters.mail_catcher import headers, markup
from emailflow_runtime.app.ports import CaughtMessage, MessagePart, OpenedMessage

SNIPPET_CHARACTERS = 250
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200c\u200e\u200f\u2060\ufeff]+")
"""Fillers that newsletters put behind their preheader."""


class Content(msgspec.Struct):
    """The bodies and files of one mail."""

    text: str = ""
    html: str = ""
    parts: tuple[MessagePart, ...] = ()

    def words(self) -> str:
        """The text that people read, on one line."""
        return " ".join(_INVISIBLE.sub("", self.text or markup.words(self.html)).split())


def summarize(source: bytes, *, recipients: Sequence[str], received: int) -> tuple[CaughtMessage, str]:
    """The summary, still without an id, and the words of the body. `received` in ns since 1970."""
    message = _parsed(source)
    content = read_content(message)
    to, cc = headers.addresses(message, "To"), headers.addresses(message, "Cc")
    words = content.words()
    summary = CaughtMessage(
        id="",
        message_id=headers.field(message, "Message-ID").strip("<>"),
        sender=next(iter(headers.addresses(message, "From")), Address(address="")),
        to=to,
        cc=cc,
        bcc=_hidden(recipients, to + cc),
        reply_to=headers.addresses(message, "Reply-To"),
        subject=headers.decoded(headers.field(message, "Subject")),
        snippet=words[:SNIPPET_CHARACTERS],
        received=received,
        size=len(source),
        attachments=sum(not part.inline for part in content.parts),
    )
    return summary, words


def open_message(source: bytes, *, summary: CaughtMessage, return_path: str) -> OpenedMessage:
    """Everything that the mail holds."""
    message = _parsed(source)
    content = read_content(message)
    return OpenedMessage(
        summary=summary,
        return_path=return_path,
        date=headers.date(message) or summary.received,
        text=content.text,
        html=content.html,
        headers=tuple((name, headers.decoded(value)) for name, value in headers.fields(message)),
        parts=content.parts,
        source=source,
    )


def read_content(message: Message) -> Content:
    """Bodies are the text parts that aren't files (RFC 2183); of several, all are shown."""
    texts: list[str] = []
    htmls: list[str] = []
    files: list[MessagePart] = []
    for number, part in enumerate(_leaves(message), start=1):
        kind = part.get_content_type()
        is_file = part.get_content_disposition() == "attachment" or part.get_filename() is not None
        if kind == "text/html" and not is_file:
            htmls.append(_text(part))
        elif not is_file and kind.startswith(("text/", "multipart/")):
            texts.append(_text(part))
        else:
            files.append(_file(part, str(number)))
    return Content(text="\n".join(texts), html="\n".join(htmls), parts=tuple(files))


def _parsed(source: bytes) -> Message:
    try:
        return email.message_from_bytes(source)
    except RecursionError:  # hundreds of nested parts: show the body as one
        return BytesHeaderParser().parsebytes(source)


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that hold content; a forwarded mail is one of them, not a container."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            waiting.extend(reversed([child for child in part.get_payload() if isinstance(child, Message)]))
        else:
            yield part


def _octets(part: Message) -> bytes:
    if part.is_multipart():
        return b"".join(child.as_bytes() for child in part.get_payload() if isinstance(child, Message))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    """The part's text in the charset that it names, else UTF-8; a CRLF is a line's end (RFC 2046 4.1.1)."""
    octets = _octets(part)
    try:
        text = octets.decode(part.get_content_charset("utf-8"))
    except (LookupError, ValueError):
        text = octets.decode("utf-8", "replace")
    return headers.readable(text).replace("\r\n", "\n")


def _file(part: Message, number: str) -> MessagePart:
    content_id = headers.field(part, "Content-ID").strip("<>")
    attached = part.get_content_disposition() == "attachment"
    suffix = ".eml" if part.get_content_maintype() == "message" else ""
    return MessagePart(
        id=number,
        file_name=headers.decoded(headers.readable(part.get_filename() or "") or f"part-{number}{suffix}"),
        content_type=headers.readable(part.get_content_type()),
        content_id=content_id,
        inline=bool(content_id) and not attached,
        content=_octets(part),
    )


def _hidden(recipients: Sequence[str], shown: Sequence[Address]) -> tuple[Address, ...]:
    """The envelope's recipients that no header names: Bcc."""
    known = {address.address.casefold() for address in shown}
    return tuple(Address(address=address) for address in recipients if address.casefold() not in known)
