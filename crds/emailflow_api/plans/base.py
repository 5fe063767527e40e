"""What all plans have in common: their base, an address, and how they are encoded and named."""

import hashlib

import msgspec


class Plan(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Base of all plans: frozen, camelCase on the wire, defaults left out so that hashes stay stable."""


class Address(Plan, frozen=True):
    """A mailbox as it stands in a header: an address and, maybe, a display name."""

    address: str
    name: str = ""


_encoder = msgspec.json.Encoder(order="deterministic")


def encode(plan: msgspec.Struct) -> bytes:
    """The plan as canonical JSON: equal plans give equal bytes."""
    return _encoder.encode(plan)


def content_hash(plan: msgspec.Struct) -> str:
    """The first 16 hexadecimal digits of SHA-256 over the canonical JSON: a plan's name in PLANS."""
    return hashlib.sha256(encode(plan)).hexdigest()[:16]
