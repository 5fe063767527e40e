"""The epoch of a shard as its owner holds it: taken, named by every write, taken anew (ADR 0001, 0017).

A server that is paused keeps what it was sent and passes it on when it wakes up, long after its owner has
said the same by another server and gone on. The epoch would let it in, since it is the owner's own. So after
a write without an answer, and after a reconnect, the owner takes a new epoch before it writes anything else:
what is still on its way names the old one. It knows nothing of what is written.
"""

import asyncio
import logging
import secrets

from emailflow_api.jetstream.epochs import OWNER, SINCE, first_epoch
from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.batch import Message, publish_all
from emailflow_runtime.adapters.jetstream.connection import (
    EPOCH_LOST,
    TRY_AGAIN,
    Connection,
    JetStreamError,
)
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.errors import EpochLost, Unavailable

RETRY_AFTER = 0.2

log = logging.getLogger(__name__)


class Epoch:
    """One for each owner of a shard."""

    def __init__(self, connection: Connection, stream: str, subject: str) -> None:
        self.sequence = 0
        """The sequence of the last epoch that is known to be this owner's."""
        self.since = 0
        """The same of its first, which stands for the owner."""
        self.before = 0
        """The first epoch of the owner before, 0 when there was none."""
        self._connection = connection
        self._stream = stream
        self._subject = subject
        self._owner = secrets.token_hex(12)
        self._doubted = False
        self._reconnects = 0

    @property
    def guard(self) -> dict[str, str]:
        """The headers that have a write refused with 10071 unless this epoch is the last."""
        return {
            "Nats-Expected-Last-Subject-Sequence": str(self.sequence),
            "Nats-Expected-Last-Subject-Sequence-Subject": self._subject,
        }

    @property
    def in_doubt(self) -> bool:
        """Whether something of this owner's may still be on its way: it has to `renew` before it writes."""
        return self._doubted or self._reconnects != self._connection.reconnects

    def doubt(self) -> None:
        """A write has not been answered."""
        self._doubted = True

    async def claim(self) -> None:
        """Take the epoch from whoever has it. Raises Unavailable, JetStreamError."""
        reconnects = self._connection.reconnects
        while True:
            last = await self._last()
            expected = sequence(last) if last is not None else 0
            try:
                self.sequence = self.since = await self._publish(expected, {})
            except JetStreamError as refused:
                if refused.code not in (EPOCH_LOST, TRY_AGAIN):
                    raise
                log.info("another owner claims at the same time")
                continue
            self.before = first_epoch(last.headers) if last is not None else 0
            self._reconnects = reconnects
            return

    async def renew(self) -> None:
        """Take a new epoch in place of one's own, and keep trying while the store is away; from then on
        nothing that this owner has written before can be stored any more. Raises EpochLost; JetStreamError
        for what would be refused again."""
        while True:
            reconnects = self._connection.reconnects
            try:
                self.sequence = await self._renewed()
                break
            except JetStreamError as refused:
                if refused.for_good:
                    raise
                if refused.code != TRY_AGAIN:
                    log.error("STATE refused an epoch: %s", refused)
            except Unavailable as away:
                log.warning("no answer to an epoch: %s", away)
            await asyncio.sleep(RETRY_AFTER)
        self._doubted, self._reconnects = False, reconnects
        log.info("a new epoch: what was on its way can't be stored any more")

    async def _renewed(self) -> int:
        """The sequence of the new epoch. Each attempt expects the old one, so that one of them is stored at
        most, whenever it arrives. Raises EpochLost, Unavailable, JetStreamError."""
        try:
            return await self._publish(self.sequence, {SINCE: str(self.since)})
        except JetStreamError as refused:
            if refused.code != EPOCH_LOST:
                raise
        last = await self._last()
        if last is None or self.is_others(last):
            raise EpochLost("another process owns this shard now")
        if sequence(last) <= self.sequence:
            raise Unavailable("a replica that lags behind has answered")
        return sequence(last)

    async def look(self) -> None:
        """Raises EpochLost when the last epoch is somebody else's, Unavailable."""
        last = await self._last()
        if last is not None and self.is_others(last):
            raise EpochLost("another process owns this shard now")

    def is_others(self, last: Arrived) -> bool:
        """Whether a message of the epoch's subject is a later owner's. What a replica that lags behind still
        holds is nothing to go by."""
        return sequence(last) > self.sequence and last.headers.get(OWNER) != self._owner

    async def _last(self) -> Arrived | None:
        return await self._connection.direct_get(self._stream, {"last_by_subj": self._subject})

    async def _publish(self, expected: int, headers: dict[str, str]) -> int:
        guard = {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        epoch = Message(self._subject, b"", {OWNER: self._owner, **headers})
        return await publish_all(self._connection, [epoch], guard)


def sequence(epoch: Arrived) -> int:
    """The sequence of a stored epoch."""
    return int(epoch.headers["Nats-Sequence"])


async def owners(connection: Connection, names: Names, shards: int) -> dict[int, int]:
    """Each shard's owner, named by its first epoch; a shard that nobody has owned is left out. Any replica
    may answer. Raises Unavailable."""
    found = {}
    for shard in range(shards):
        subject = names.state_subjects(shard).epoch
        last = await connection.direct_get(names.state(shard), {"last_by_subj": subject})
        if last is not None:
            found[shard] = first_epoch(last.headers)
    return found
