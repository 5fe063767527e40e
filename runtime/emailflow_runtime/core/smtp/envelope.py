"""MAIL and RCPT: the envelope as commands, with the parameters that the message needs.

An address goes into a command only if it can't be read as anything else.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from emailflow_runtime.core.outcomes import Refused
from emailflow_runtime.core.smtp.extensions import Extensions
from emailflow_runtime.errors import EmailFlowError

MAX_PATH = 254
"""Octets of an address (RFC 5321 section 4.5.3.1.3, without the angle brackets)."""

_ADDRESS = re.compile(r"[^\x00-\x20\x7f<>]+@[^\x00-\x20\x7f<>@]+")


class NotSendable(EmailFlowError):
    """A mail that this server will never take, known without asking it."""

    reason = "NotSendable"

    def __init__(self, outcome: Refused) -> None:
        super().__init__(f"{outcome.reason}: {outcome.reply}")
        self.outcome = outcome


class Envelope(NamedTuple):
    """The commands before DATA."""

    mail: bytes
    recipients: tuple[bytes, ...]


def envelope(
    sender: str, recipients: Sequence[str], *, size: int, seven_bit: bool, extensions: Extensions
) -> Envelope:
    """The commands for a message of `size` octets. Raises NotSendable. The empty sender is the null path."""
    _check(sender, recipients)
    utf8 = not (sender.isascii() and all(recipient.isascii() for recipient in recipients))
    if utf8 and not extensions.utf8:
        raise NotSendable(Refused("Utf8NotOffered", "the server takes no address outside ASCII (SMTPUTF8)"))
    if not seven_bit and not extensions.eight_bit:
        raise NotSendable(Refused("EightBitNotOffered", "the server takes no 8-bit message (8BITMIME)"))
    if extensions.size and size > extensions.size:
        raise NotSendable(Refused("TooLarge", f"{size} octets, the server takes {extensions.size}"))
    parameters = "" if extensions.size is None else f" SIZE={size}"
    parameters += "" if seven_bit else " BODY=8BITMIME"
    parameters += " SMTPUTF8" if utf8 else ""
    return Envelope(
        f"MAIL FROM:<{sender}>{parameters}\r\n".encode(),
        tuple(f"RCPT TO:<{recipient}>\r\n".encode() for recipient in recipients),
    )


def _check(sender: str, recipients: Sequence[str]) -> None:
    named = [("sender", sender)] if sender else []
    named += [(f"recipient {place}", recipient) for place, recipient in enumerate(recipients, 1)]
    for field, address in named:
        if not _ADDRESS.fullmatch(address) or len(address.encode("utf-8", "replace")) > MAX_PATH:
            raise NotSendable(Refused("InvalidAddress", f"{field}: expected local-part@domain"))
    if not recipients:
        raise NotSendable(Refused("InvalidAddress", "recipients: expected at least one"))
