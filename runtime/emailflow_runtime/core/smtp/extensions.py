"""What a server offers, as its reply to EHLO lists it (RFC 5321 section 4.1.1.1)."""

from typing import NamedTuple

from emailflow_runtime.core.smtp.reply import Reply


class Extensions(NamedTuple):
    """The extensions that this client uses."""

    pipelining: bool = False
    """RFC 2920."""
    start_tls: bool = False
    """RFC 3207."""
    eight_bit: bool = False
    """RFC 6152."""
    utf8: bool = False
    """RFC 6531."""
    size: int | None = None
    """RFC 1870: octets that a message may have, 0 when there is no fixed limit; None: not offered."""
    mechanisms: frozenset[str] = frozenset()
    """RFC 4954: the mechanisms of AUTH."""


def offered(reply: Reply) -> Extensions:
    """The extensions that a reply to EHLO lists; its first line is a greeting. Unknown ones are passed by."""
    found = {}
    for line in reply.lines[1:]:
        keyword, *parameters = line.upper().split() or [""]
        found[keyword] = parameters
    size = found.get("SIZE")
    return Extensions(
        pipelining="PIPELINING" in found,
        start_tls="STARTTLS" in found,
        eight_bit="8BITMIME" in found,
        utf8="SMTPUTF8" in found,
        size=None if size is None else int(size[0]) if size and size[0].isdecimal() else 0,
        mechanisms=frozenset(found.get("AUTH", ())),
    )
