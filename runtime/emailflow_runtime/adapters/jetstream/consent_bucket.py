"""CONSENT: what addresses have said about topics, by the address's key. Watched, so reading is instant.

A value is the word and when it was said. An address may be spoken of in several shards, and a new owner reads
events again that had been read: so a word is written by compare-and-set, and only over an earlier one. A
producer's repeat comes later than what was said since; a header tells which events have subscribed already.
"""

from typing import NamedTuple
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
from emailflow_runtime.app.stores import REMEMBERED_WORDS
from emailflow_runtime.core.consent import Consent

MARK = "_mark"
"""The key that owners write to see how far they have read. No address's key looks like it."""
HEARD = "EmailFlow-Heard"
"""The hashes of events that have subscribed, the newest last."""
_SUBSCRIBED, _UNSUBSCRIBED = "subscribed", "unsubscribed"


class _Word(NamedTuple):
    """The last one about a topic. `value`: None when there is none; `revision`: what a change has to name."""

    value: bytes | None = None
    revision: int = 0
    heard: tuple[int, ...] = ()

    @property
    def at(self) -> int:
        """Nanoseconds since 1970 UTC; 0 where it does not say."""
        return int((self.value or b"").decode().partition(" ")[2] or 0)


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

    async def put(self, address: str, topic: str, *, subscribed: bool, at: int, event: int = 0) -> None:
        """See Consents. Raises Unavailable, JetStreamError."""
        key = f"{address}.{type_tokens(topic)}"
        value = f"{_SUBSCRIBED if subscribed else _UNSUBSCRIBED} {at}".encode()
        # Most say something for the first time, which needs no look.
        last = (await self._stored(key)) if key in self._tail.values else _Word()
        while last.value is None or last.at <= at:
            if subscribed and event and event in last.heard:
                break
            heard = (*last.heard, event)[-REMEMBERED_WORDS:] if subscribed and event else last.heard
            headers = {"Nats-Expected-Last-Subject-Sequence": str(last.revision)}
            if heard:
                headers[HEARD] = " ".join(map(str, heard))
            try:
                answer = await self._connection.request(f"{self._prefix}{key}", value, headers)
                last = _Word(value, int(checked(answer)["seq"]), heard)
                break
            except JetStreamError as refused:
                if refused.code not in (EPOCH_LOST, TRY_AGAIN):
                    raise
                last = await self._stored(key)
        if last.value is not None:
            self._tail.know(key, last.value, last.revision)

    async def _stored(self, key: str) -> _Word:
        subject = f"{self._prefix}{key}"
        found = await self._connection.direct_get(self._stream, {"last_by_subj": subject})
        if found is None:
            return _Word()
        headers = found.headers or {}
        gone = "KV-Operation" in headers or "Nats-Marker-Reason" in headers
        heard = tuple(map(int, headers.get(HEARD, "").split()))
        return _Word(None if gone else found.data, int(headers["Nats-Sequence"]), heard)
