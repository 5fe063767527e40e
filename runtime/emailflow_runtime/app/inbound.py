"""The port of the NATS door: the stream that producers publish to, in the machinery's own words.

Nothing is gone from the queue before the door says so.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Inbound(msgspec.Struct, frozen=True):
    """A message as it was published. `types` are the subject's tokens that name the type, `deliveries`
    how often it came, this time included; `token` is what the queue knows it by."""

    types: str
    headers: Mapping[str, str]
    data: bytes
    deliveries: int
    token: str


class Refusal(msgspec.Struct, frozen=True):
    """Why a message is no event that can be accepted; `id` and `source` as far as they are known."""

    reason: str
    message: str
    id: str = ""
    source: str = ""


class InboundQueue(Protocol):
    """Stream IN. Whatever is not settled comes again, here or at another door."""

    async def take(self) -> Sequence[Inbound]:
        """The next messages, at least one; waits for them."""

    async def acknowledge(self, messages: Sequence[Inbound]) -> None:
        """These are settled. A lost one comes again, which is harmless. Raises Unavailable."""

    async def postpone(self, message: Inbound, seconds: float) -> None:
        """Let it come again, not before so many seconds. Raises Unavailable."""

    async def refuse(self, message: Inbound, refusal: Refusal) -> None:
        """Keep it as a dead letter, whole; return when that is on disk. Raises Unavailable."""

    async def answer(self, message: Inbound, refusal: Refusal) -> None:
        """Tell the producer, if it asked for that. Raises Unavailable."""

    async def close(self) -> None:
        """Take no more, and let what has come but was not taken come again at once."""
