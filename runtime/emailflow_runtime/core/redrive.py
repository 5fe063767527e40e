"""A redrive: an event that stands in the log again, for the one flow that could not handle it.

The log's own entry says so, beside the event, which is what it was. Others pass it by; the flow counts it
by its dead letter, so that neither the first failure nor a second redrive of it counts twice.
"""

import hashlib

import msgspec


class Redrive(msgspec.Struct, frozen=True, omit_defaults=True):
    """For which flow (`FlowPlan.id`), and which dead letter it was.

    `letter` names the letter for ever, `step` the step whose mail could not be made: then only that mail is
    made again. `known` says that the contact reader has read the event before.
    """

    flow: str
    letter: str
    step: str = ""
    known: bool = False

    @property
    def mark(self) -> int:
        """64 bits that the flow remembers it by, beside the hashes of events."""
        named = f"redrive\0{self.flow}\0{self.letter}".encode()
        return int.from_bytes(hashlib.blake2b(named, digest_size=8).digest(), "big")

    @property
    def instance(self) -> str:
        """The subject token of the journey that makes one mail again."""
        return f"redrive-{self.mark:016x}"
