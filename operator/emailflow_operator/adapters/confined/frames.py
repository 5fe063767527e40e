"""What operator and child say to each other: bodies behind a length of four bytes. No pickles."""

import struct
from typing import Final

PREFIX: Final = struct.Struct(">I")
MAX_FRAME: Final = 512 << 20
"""Bytes. All plans of one runtime are one answer; what is longer is no answer."""
READY: Final = b"r"
ANSWER: Final = b"a"
QUESTION: Final = b"q"

PAGE: Final = 4096
"""Bytes of shared memory: a count of turns, and the subject whose turn it is."""
TURN: Final = struct.Struct("<QI")


def framed(*parts: bytes) -> bytes:
    """The parts as one frame."""
    return b"".join((PREFIX.pack(sum(map(len, parts))), *parts))
