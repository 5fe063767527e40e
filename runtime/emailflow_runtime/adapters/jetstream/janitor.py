"""EVENTS as the janitor needs it: by time, by what consumers have left, and purged up to a sequence."""

import secrets
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.topology import consumer_name
from emailflow_runtime.adapters.jetstream.connection import Connection
from emailflow_runtime.app.janitor import LaggingReader

SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JetStreamLogKeeping:
    """The port LogKeeping on JetStream. Every durable consumer of EVENTS is a reader."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._stream = names.events
        self._all = f"{names.subject_prefix}.events.>"

    async def sequence_at(self, at: int) -> int:
        """See LogKeeping. Raises Unavailable, JetStreamError."""
        moment = (_EPOCH + timedelta(microseconds=at // 1000)).isoformat().replace("+00:00", "Z")
        body = {"start_time": moment, "batch": 1, "next_by_subj": self._all}
        async for found in self._connection.direct_get_many(self._stream, body):
            return int((found.headers or {})["Nats-Sequence"])
        return int((await self._state())["last_seq"]) + 1

    async def first_sequence(self) -> int:
        """See LogKeeping. Raises Unavailable, JetStreamError."""
        return int((await self._state())["first_seq"])

    async def _state(self) -> dict[str, Any]:
        info = await self._connection.api(f"STREAM.INFO.{self._stream}")
        state: dict[str, Any] = info["state"]
        return state

    async def lagging(self, below: int) -> Sequence[LaggingReader]:
        """See LogKeeping. Raises Unavailable, JetStreamError."""
        found = []
        async for info in self._consumers():
            behind = int(info["ack_floor"]["stream_seq"]) + 1 < below
            if behind and (int(info["num_pending"]) or int(info["num_ack_pending"])):
                needs = await self._next(info)
                if needs < below:
                    found.append(_reader(info["name"], needs))
        return found

    async def _consumers(self) -> AsyncIterator[dict[str, Any]]:
        """The durable consumers."""
        offset = 0
        while True:
            page = await self._connection.api(f"CONSUMER.LIST.{self._stream}", {"offset": offset})
            consumers = page.get("consumers") or []
            for info in consumers:
                if info["config"].get("durable_name"):
                    yield info
            offset += len(consumers)
            if not consumers or offset >= int(page.get("total", 0)):
                return

    async def _next(self, info: dict[str, Any]) -> int:
        """The first sequence above a consumer's floor that it is to read."""
        after, found = int(info["ack_floor"]["stream_seq"]) + 1, []
        for subject in _filters(info["config"]) or [self._all]:
            body = {"seq": after, "next_by_subj": subject}
            stored = await self._connection.direct_get(self._stream, body)
            if stored is not None:
                found.append(int((stored.headers or {})["Nats-Sequence"]))
        return min(found, default=int((await self._state())["last_seq"]) + 1)

    async def unread(self, reader: LaggingReader, below: int) -> int:
        """See LogKeeping. Raises Unavailable, JetStreamError."""
        name = consumer_name(reader.name, reader.shard)
        config = (await self._connection.api(f"CONSUMER.INFO.{self._stream}.{name}"))["config"]
        # What comes in between the two answers would count twice, so the later part is asked for first.
        later = await self._from(below, config)
        return max(0, await self._from(reader.needs, config) - later)

    async def _from(self, sequence: int, like: dict[str, Any]) -> int:
        """How many messages there are from this sequence on that a consumer like this one would get."""
        name = f"count_{secrets.token_hex(6)}"
        config = {
            "name": name,
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": sequence,
            "filter_subjects": _filters(like) or [self._all],
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 10 * SECOND,
        }
        body = {"stream_name": self._stream, "config": config}
        made = await self._connection.api(f"CONSUMER.CREATE.{self._stream}.{name}", body)
        await self._connection.api(f"CONSUMER.DELETE.{self._stream}.{name}")
        return int(made["num_pending"])

    async def purge(self, below: int) -> None:
        """See LogKeeping. Raises Unavailable, JetStreamError."""
        await self._connection.api(f"STREAM.PURGE.{self._stream}", {"seq": below})


def _filters(config: dict[str, Any]) -> list[str]:
    if config.get("filter_subject"):
        return [config["filter_subject"]]
    return list(config.get("filter_subjects") or [])


def _reader(consumer: str, needs: int) -> LaggingReader:
    """Above shard 0 a consumer's name ends with the shard's number."""
    name, _, last = consumer.rpartition("_")
    above_zero = last.isdigit() and name.strip("_") and (name.startswith("_") or "_" in name)
    return LaggingReader(name, int(last), needs) if above_zero else LaggingReader(consumer, 0, needs)
