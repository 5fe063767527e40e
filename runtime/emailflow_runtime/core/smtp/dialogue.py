"""Dialogues: generators that yield what to send and are sent the server's replies.

Whoever runs one sends it each reply in order, or throws ConversationEnded into it when none will come.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from emailflow_runtime.core.smtp.errors import ConversationEnded
from emailflow_runtime.core.smtp.reply import Reply

CLOSING = 421
"""The server closes the connection; it may say so in reply to any command (RFC 5321 section 3.8)."""


class Flush(NamedTuple):
    """Send this and wait until it has left the process: then comes FLUSHED, or a reply that is too early."""

    content: bytes


FLUSHED = Reply(0)
"""What a dialogue is sent when its Flush is done."""

Result = TypeVar("Result")
Dialogue: TypeAlias = Generator[bytes | Flush, Reply, Result]
"""Yields bytes to send (empty: just wait for the next reply) and takes one reply for each."""


def exchange(commands: Sequence[bytes]) -> Dialogue[list[Reply]]:
    """Send commands in one piece and collect their replies (RFC 2920).

    The list is shorter when the server closed the connection with a reason: after 421, or after a command
    that was refused. Raises ConversationEnded when it closed without one.
    """
    replies: list[Reply] = []
    to_send = b"".join(commands)
    for _ in commands:
        try:
            replies.append((yield to_send))
        except ConversationEnded:
            if any(reply.kind > 3 for reply in replies):
                return replies
            raise
        if replies[-1].code == CLOSING:
            break
        to_send = b""
    return replies
