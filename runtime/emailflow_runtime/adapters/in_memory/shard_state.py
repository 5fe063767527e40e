"""STATE of one shard as nats-server would hold it: compacted, fenced by its epoch.

Everything here happens at once; what may lie between two changes is the store's matter, or the network's.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, assert_never

from emailflow_runtime.adapters.in_memory.stream import SECOND, Stream
from emailflow_runtime.app.ports import Clock
from emailflow_runtime.app.stores import (
    Change,
    PutContact,
    PutInHand,
    PutRecord,
    PutRelayPosition,
    PutSeen,
)
from emailflow_runtime.errors import EpochLost

Key = tuple[str, ...]


class Kept(NamedTuple):
    """The last message of a subject. `expires` in nanoseconds since 1970, 0: never."""

    sequence: int
    expires: int
    change: Any


class ShardState:
    """The stream's messages by subject."""

    def __init__(self, clock: Clock) -> None:
        self.stream = Stream(clock)
        self.epoch = 0
        self.since = self.since_before = 0
        """The first epochs of who has it, and of who had it before."""
        self._clock = clock
        self._kept: dict[Key, Kept] = {}
        self._instances: dict[tuple[str, str], dict[str, None]] = {}

    def now(self, epoch: int) -> int:
        """The time of whoever keeps it, for the owner of this epoch. Raises EpochLost."""
        self._guard(epoch)
        return self._clock.now()

    def claim(self) -> int:
        """A new epoch, for a new owner."""
        self.epoch = self.stream.number()
        self.since_before, self.since = self.since, self.epoch
        return self.epoch

    def renew(self, epoch: int) -> int:
        """A new epoch, for the owner of this one. Raises EpochLost."""
        self._guard(epoch)
        self.epoch = self.stream.number()
        return self.epoch

    def store(self, change: Change, epoch: int) -> int:
        """Store one change under an epoch; its sequence. Raises EpochLost."""
        self._guard(epoch)
        sequence = self.stream.number()
        match change:
            case PutRecord(record=record, expires=expires):
                journey = record.journey
                self._keep(
                    ("journey", journey.flow, journey.contact, journey.instance), sequence, change, expires
                )
                self._instances.setdefault((journey.flow, journey.contact), {})[journey.instance] = None
            case PutContact(contact=contact):
                self._keep(("contact", contact.key), sequence, change)
            case PutSeen(flow=flow, contact=about, expires=expires):
                self._keep(("seen", flow, about), sequence, change, expires)
            case PutRelayPosition():
                self._keep(("relay",), sequence, change)
            case PutInHand():
                self._keep(("in hand",), sequence, change)
            case _:
                assert_never(change)
        return sequence

    def _guard(self, epoch: int) -> None:
        if epoch != self.epoch:
            raise EpochLost("another process owns this shard now")

    def _keep(self, key: Key, sequence: int, change: Change, expires: int = 0) -> None:
        at = self._clock.now() + expires * SECOND if expires else 0
        # A record that is stored anew stands behind all others, as its message does.
        self._kept.pop(key, None)
        self._kept[key] = Kept(sequence, at, change)

    def get(self, *key: str) -> Any:
        """The change last stored under this key; None when there is none, or it has expired."""
        kept = self._kept.get(key)
        return kept.change if kept is not None and self._lives(kept) else None

    def sequence(self, *key: str) -> int:
        """Where the change under this key stands; 0 when there is none."""
        kept = self._kept.get(key)
        return kept.sequence if kept is not None else 0

    def records(self) -> Iterator[tuple[int, PutRecord]]:
        """All records with their sequences, in order."""
        for key, kept in list(self._kept.items()):
            if key[0] == "journey" and self._lives(kept):
                yield kept.sequence, kept.change

    def records_of(self, flow: str, contact: str) -> list[PutRecord]:
        """The records of one contact in one flow."""
        found = (
            self.get("journey", flow, contact, each) for each in self._instances.get((flow, contact), ())
        )
        return [put for put in found if put is not None]

    def _lives(self, kept: Kept) -> bool:
        return not 0 < kept.expires <= self._clock.now()
