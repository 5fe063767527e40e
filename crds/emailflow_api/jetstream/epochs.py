"""Epochs in a shard's STATE: what they say of who wrote them (ADR 0001, 0017). Pure.

An owner is named by its first epoch. It may take more of them, and each says which the first was.
"""

from collections.abc import Mapping

OWNER = "EmailFlow-Owner"
"""A token of the owner's, so that an epoch whose answer was lost is known as one's own."""
SINCE = "EmailFlow-Since"
"""The owner's first epoch; that one itself does not say it."""


def first_epoch(headers: Mapping[str, str]) -> int:
    """The first epoch of the owner who wrote the one that is stored with these headers."""
    return int(headers.get(SINCE, 0)) or int(headers["Nats-Sequence"])
