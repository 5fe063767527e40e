"""Records of a spool: a payload between what tells where it ends and whether it is whole. Pure.

`length (4) | crc32 of sequence and payload (4) | sequence (8) | payload`, little-endian. A crash in the
middle of a write leaves a tail that no length and checksum fit; nothing in it was ever acknowledged.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

HEADER = struct.Struct("<IIQ")
LONGEST = 64 << 20
"""No payload is longer, so a length beyond it is damage."""


class Record(NamedTuple):
    """One record, and the offset behind it."""

    sequence: int
    payload: bytes
    end: int


def encode(sequence: int, payload: bytes) -> bytes:
    """The record as bytes."""
    return HEADER.pack(len(payload), _checksum(sequence, payload), sequence) + payload


def decode(data: bytes, offset: int = 0) -> Iterator[Record]:
    """The whole records from `offset` on, up to the first one that isn't whole."""
    while offset + HEADER.size <= len(data):
        length, checksum, sequence = HEADER.unpack_from(data, offset)
        end = offset + HEADER.size + length
        if length > LONGEST or end > len(data):
            return
        payload = data[offset + HEADER.size : end]
        if _checksum(sequence, payload) != checksum:
            return
        yield Record(sequence, payload, end)
        offset = end


def _checksum(sequence: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(sequence.to_bytes(8, "little")))
