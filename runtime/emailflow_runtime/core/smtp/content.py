"""A message as it goes over the wire: checked, with its dots doubled (RFC 5321 section 4.5.2)."""

from emailflow_runtime.errors import EmailFlowError

END = b".\r\n"
"""Ends a message. Once this is sent the server may have accepted it."""


class InvalidMessage(EmailFlowError):
    """Bytes that would not arrive as they are."""

    reason = "InvalidMessage"


def stuffed(message: bytes) -> bytes:
    """The message without END. Raises InvalidMessage for NUL, and for CR or LF alone.

    They are refused and not repaired: servers disagree about where such a line ends, which smuggles mails
    (RFC 5321 section 2.3.8), and a repair would break the signature.
    """
    line_ends = message.count(b"\r\n")
    if message.count(b"\r") != line_ends or message.count(b"\n") != line_ends:
        raise InvalidMessage("message: expected CRLF at the end of each line, and no CR or LF elsewhere")
    if b"\0" in message:
        raise InvalidMessage("message: expected no NUL")
    doubled = message.replace(b"\r\n.", b"\r\n..")
    start = b"." if message.startswith(b".") else b""
    end = b"" if message.endswith(b"\r\n") else b"\r\n"
    return start + doubled + end
