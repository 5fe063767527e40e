"""CONSENT: what addresses have said about topics, by the address's key. Watched, so reading is instant.

A value is the word and when it was said. An address may be spoken of in several shards, and a new owner reads
events again that had been read: so a word is written by compare-and-set, and only over an earlier one.
"""

from urllib.parse import unquote

from emailflow_api.jetstream.naming import type_tokens
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import (
    EPOCH_LOST,
    TRY_AGAIN,
    Connection,
    JetStreamError,
    checked,
)
from emailflow_runtime.core.consent import Consent

MARK = "_mark"
"""The key that owners write to see how far they have read. No address's key looks like it."""
_SUBSCRIBED, _UNSUBSCRIBED = "subscribed", "unsubscribed"


class ConsentBucket:
    """The port Consents on a KV bucket."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._prefix = f"$KV.{bucket}."
        self._stream = f"KV_{bucket}"
        self._tail = BucketTail(connection, bucket)

    async def start(self) -> None:
        """Read everything, once NATS and the bucket are there. Before that, `of` knows of nothing."""
        await self._tail.start_when_there()

    async def follow(self) -> None:
        """Keep current until cancelled."""
        await self.start()
        while True:
            await self._tail.changed()

    def of(self, address: str) -> Consent:
        """See Consents."""
        prefix = f"{address}."
        topics: dict[str, bool] = {}
        for topic, said in self._tail.under(prefix):
            topics[unquote(topic)] = said.decode().partition(" ")[0] == _SUBSCRIBED
        return Consent(topics)

    async def catch_up(self) -> None:
        """See Consents."""
        await self._tail.catch_up(MARK)

    async def put(self, address: str, topic: str, *, subscribed: bool, at: int) -> None:
        """See Consents. Raises Unavailable, JetStreamError."""
        key = f"{address}.{type_tokens(topic)}"
        value = f"{_SUBSCRIBED if subscribed else _UNSUBSCRIBED} {at}".encode()
        # Most say something for the first time, which needs no look.
        known, revision = (await self._stored(key)) if key in self._tail.values else (None, 0)
        while known is None or _said_at(known) <= at:
            expected = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
            try:
                answer = await self._connection.request(f"{self._prefix}{key}", value, expected)
                known, revision = value, int(checked(answer)["seq"])
                break
            except JetStreamError as refused:
                if refused.code not in (EPOCH_LOST, TRY_AGAIN):
                    raise
                known, revision = await self._stored(key)
        self._tail.know(key, known, revision)

    async def _stored(self, key: str) -> tuple[bytes | None, int]:
        """The value (None: there is none) and the revision that a change has to name."""
        subject = f"{self._prefix}{key}"
        found = await self._connection.direct_get(self._stream, {"last_by_subj": subject})
        if found is None:
            return None, 0
        headers = found.headers or {}
        gone = "KV-Operation" in headers or "Nats-Marker-Reason" in headers
        return None if gone else found.data, int(headers["Nats-Sequence"])


def _said_at(value: bytes) -> int:
    """Nanoseconds since 1970 UTC; 0 where it does not say."""
    return int(value.decode().partition(" ")[2] or 0)
