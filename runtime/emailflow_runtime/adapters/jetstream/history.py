"""EVENTS, read at any place without a consumer."""

from collections.abc import AsyncIterator, Sequence

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import PAGE_BYTES, Connection
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
            count = size = 0
            page: list[DeliveredEvent] = []
            async for stored in self._connection.direct_get_many(stream, body):
                count, after, size = count + 1, int(stored.headers["Nats-Sequence"]), size + len(stored.data)
                if (event := _event(stored)) is not None and event.sequence <= last:
                    page.append(event)
                if size > PAGE_BYTES:
                    yield page
                    page, size = [], 0
            yield page
            if count < PAGE:
                return


def _event(stored: Arrived) -> DeliveredEvent | None:
    headers = stored.headers
    sequence, at = int(headers["Nats-Sequence"]), nanoseconds(headers["Nats-Time-Stamp"])
    return event_at(sequence, at, headers, stored.data)
