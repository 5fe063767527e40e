"""EVENTS, read at any place without a consumer."""

from collections.abc import AsyncIterator, Sequence

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Connection
from emailflow_runtime.adapters.jetstream.feed import event_at
from emailflow_runtime.adapters.jetstream.timestamps import nanoseconds
from emailflow_runtime.adapters.jetstream.wire import Arrived
from emailflow_runtime.app.stores import DeliveredEvent

PAGE = 500


class EventHistory:
    """The port History on JetStream."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names

    async def pages(self, shard: int, first: int, last: int) -> AsyncIterator[Sequence[DeliveredEvent]]:
        """See History. Raises Unavailable."""
        after, stream = first - 1, self._names.events
        while after < last:
            body = {"seq": after + 1, "batch": PAGE, "next_by_subj": self._names.shard_events(shard)}
            stored = [each async for each in self._connection.direct_get_many(stream, body)]
            found = [event for each in stored if (event := _event(each)) is not None]
            yield [each for each in found if each.sequence <= last]
            if len(stored) < PAGE:
                return
            after = int(stored[-1].headers["Nats-Sequence"])


def _event(stored: Arrived) -> DeliveredEvent | None:
    headers = stored.headers
    sequence, at = int(headers["Nats-Sequence"]), nanoseconds(headers["Nats-Time-Stamp"])
    return event_at(sequence, at, headers, stored.data)
