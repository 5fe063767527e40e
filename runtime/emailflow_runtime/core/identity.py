"""Ids, all derived from what they name, so that the same input always leads to the same id.

Nothing here may depend on time, order or chance.
"""

import hashlib

from emailflow_runtime.core.cloudevents.event import CloudEvent


def _digest(*parts: str, size: int = 16) -> bytes:
    encoded = [part.encode() for part in parts]
    joined = b"".join([len(part).to_bytes(4, "big") + part for part in encoded])
    return hashlib.blake2b(joined, digest_size=size).digest()


def contact_key(kind: str, identifier: str) -> str:
    """The key of a contact first seen under this identifier; `kind` is `id` or `address`.

    Opaque (32 hexadecimal digits), so it may stand in subjects and headers.
    """
    return _digest("contact", kind, identifier).hex()


def normalize_address(address: str) -> str:
    """An address as an identifier: surrounding space dropped, domain and local part in lower case.

    RFC 5321 leaves the local part's case to the receiver; no receiver in practice tells people apart by
    it, and one person must not count as two.
    """
    return address.strip().lower()


def instance_key(key: str) -> str:
    """The subject token of a flow's `key` value; `-` when the flow has no key."""
    return _digest("instance", key, size=12).hex() if key else "-"


def concurrent_instance(key: str, event: CloudEvent) -> str:
    """The subject token of a journey that shares its key with others (`reentry: Concurrent`)."""
    return _digest("concurrent", key, event.source, event.id, size=12).hex()


def journey_id(flow: str, contact: str, instance: str, event: CloudEvent) -> str:
    """The id of the journey that this event starts."""
    return _digest("journey", flow, contact, instance, event.source, event.id, size=12).hex()


def mail_id(flow: str, journey: str, step: str, turn: int) -> str:
    """The id of the mail of one step on one pass of a journey (DESIGN promise 3)."""
    return _digest("mail", flow, journey, step, str(turn), size=15).hex()


def event_hash(event: CloudEvent) -> int:
    """64 bits of `source`+`id`, the identity of an event (CloudEvents 1.0.2, section 3.1.1)."""
    return int.from_bytes(_digest("event", event.source, event.id, size=8), "big")


def shard_of(contact: str, shards: int) -> int:
    """The shard that a contact belongs to."""
    return int(contact[:8], 16) % shards
