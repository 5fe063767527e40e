"""The shard's one writer: everything in flight shares one commit (group commit, DESIGN section 5).

At once when idle, else when the last commit returns. It knows nothing of journeys, and no one else may
call `StateStore.commit`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import assert_never

from emailflow_runtime.app.stores import (
    Change,
    PutContact,
    PutInHand,
    PutRecord,
    PutRelayPosition,
    PutSeen,
    StateStore,
)
from emailflow_runtime.core.weights import MARK

MAX_GROUP = 900
"""Changes in one commit; JetStream takes at most 1,000 messages in a batch."""
MAX_BYTES = 4 << 20
"""What they weigh: nats-server needs seconds for more, and an answer has to come within a few."""
SMALL = 1024
"""Bytes of a change that says nothing of its weight."""


class Writer:
    """Collects changes and commits them in groups, in the order in which they were handed in."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._waiting: deque[tuple[Sequence[Change], asyncio.Future[int]]] = deque()
        self._wake = asyncio.Event()
        self.relayed = 0
        """STATE sequence up to which facts are in EVENTS."""
        self._relayed_committed = 0
        self._began: float | None = None
        self._ended = False

    def submit(self, changes: Sequence[Change]) -> asyncio.Future[int]:
        """Done with the STATE sequence of a commit that holds these changes. They are never split."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._ended:
            done.cancel()
            return done
        self._waiting.append((changes, done))
        self._wake.set()
        return done

    def barrier(self) -> asyncio.Future[int]:
        """Done after a guarded commit that began after this call, so that what was decided until now was
        decided by the owner (an acknowledgement of an input without effect waits for it)."""
        return self.submit(())

    @property
    def committing_for(self) -> float:
        """Seconds since the commit under way began; 0: none is."""
        return 0.0 if self._began is None else asyncio.get_running_loop().time() - self._began

    def note_relayed(self, sequence: int) -> None:
        """Facts up to this STATE sequence are in EVENTS; the next commit says so."""
        self.relayed = max(self.relayed, sequence)

    async def run(self) -> None:
        """Commit until cancelled. Raises EpochLost; whatever waits then is cancelled."""
        group: list[tuple[Sequence[Change], asyncio.Future[int]]] = []
        try:
            while True:
                await self._wake.wait()
                group = self._next_group()
                await self._commit(group)
        finally:
            self._ended = True
            for _, done in (*group, *self._waiting):
                done.cancel()

    async def _commit(self, group: Sequence[tuple[Sequence[Change], asyncio.Future[int]]]) -> None:
        changes = coalesce([change for changes, _ in group for change in changes])
        if not changes or self.relayed > self._relayed_committed:
            changes.append(PutRelayPosition(self.relayed))
        relayed = self.relayed
        self._began = asyncio.get_running_loop().time()
        sequence = await self._store.commit(changes)
        self._began = None
        self._relayed_committed = relayed
        for _, done in group:
            if not done.done():
                done.set_result(sequence)

    def _next_group(self) -> list[tuple[Sequence[Change], asyncio.Future[int]]]:
        group: list[tuple[Sequence[Change], asyncio.Future[int]]] = []
        count = size = 0
        while self._waiting:
            changes = self._waiting[0][0]
            count, size = count + len(changes), size + sum([_weight(each) for each in changes])
            if group and (count > MAX_GROUP or size > MAX_BYTES):
                break
            group.append(self._waiting.popleft())
        if not self._waiting:
            self._wake.clear()
        return group


def coalesce(changes: Sequence[Change]) -> list[Change]:
    """One change for each thing that changes, the last: a record carries the facts of those before it, so the
    last one says it all."""
    return list({_identity(change): change for change in changes}.values())


def _weight(change: Change) -> int:
    match change:
        case PutRecord(weight=weight):
            return SMALL + weight
        case PutContact(weight=weight):
            return SMALL + weight
        case PutSeen(hashes=hashes):
            return SMALL + MARK * len(hashes)
        case PutRelayPosition() | PutInHand():
            return SMALL
        case _:
            assert_never(change)


def _identity(change: Change) -> object:
    match change:
        case PutRecord(record=record):
            journey = record.journey
            return ("record", journey.flow, journey.contact, journey.instance)
        case PutContact(contact=contact):
            return ("contact", contact.key)
        case PutSeen(flow=flow, contact=contact):
            return ("seen", flow, contact)
        case PutRelayPosition():
            return "relay"
        case PutInHand():
            return "in hand"
        case _:
            assert_never(change)
