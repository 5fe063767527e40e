"""CONSENT: what addresses have said about topics, by the address's key. Watched, so reading is instant."""

from urllib.parse import unquote

from emailflow_api.jetstream.naming import type_tokens
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection, checked
from emailflow_runtime.core.consent import Consent

_SAID = {True: b"subscribed", False: b"unsubscribed"}


class ConsentBucket:
    """The port Consents on a KV bucket."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._prefix = f"$KV.{bucket}."
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
            topics[unquote(topic)] = said == _SAID[True]
        return Consent(topics)

    async def put(self, address: str, topic: str, *, subscribed: bool) -> None:
        """See Consents. Raises Unavailable, JetStreamError."""
        key = f"{address}.{type_tokens(topic)}"
        checked(await self._connection.request(f"{self._prefix}{key}", _SAID[subscribed]))
        self._tail.put(key, _SAID[subscribed])
