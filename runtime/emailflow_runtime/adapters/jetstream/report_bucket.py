"""REPORTS in its KV bucket, and how much each flow's consumer has still to read.

A report is written by compare-and-set over the one that was read or written before it: one that a paused
server passes on late would say again what has been said otherwise since.
"""

from collections.abc import Mapping, Sequence

from emailflow_api.jetstream.naming import Names
from emailflow_api.reports import (
    FlowReport,
    ProviderReport,
    encode,
    key,
    provider_key,
    read_provider_reports,
    read_reports,
)
from emailflow_runtime.adapters.jetstream.batch import LARGEST_BATCH, Message, publish_all
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError
from emailflow_runtime.adapters.jetstream.lags import flow_lags
from emailflow_runtime.errors import Unavailable


class ReportBucket:
    """The port Reports on JetStream."""

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._bucket = names.bucket("REPORTS")
        self._revisions: dict[str, int] = {}
        """By key: the sequence of what stands there, as far as it has been read or written here."""

    async def read(self, shard: int) -> Mapping[str, FlowReport]:
        """See Reports."""
        reports = read_reports(await self._read(key(shard, "")))
        return {flow: shards[shard] for flow, shards in reports.items() if shard in shards}

    async def read_providers(self) -> Mapping[str, ProviderReport]:
        """See ProviderReports."""
        return read_provider_reports(await self._read(provider_key("")))

    async def all(self) -> dict[str, dict[int, FlowReport]]:
        """Every report: flow id -> shard -> report. Raises Unavailable."""
        return read_reports(await self._read(""))

    async def _read(self, own: str) -> Mapping[str, bytes]:
        """All entries; those whose key begins with `own` are written over from here on."""
        tail = _Revised(self._connection, self._bucket)
        await tail.start()
        await tail.close()
        if own:
            for name in [name for name in self._revisions if name.startswith(own)]:
                del self._revisions[name]
            self._revisions.update((name, at) for name, at in tail.revisions.items() if name.startswith(own))
        return tail.values

    async def write(self, shard: int, reports: Mapping[str, FlowReport | None]) -> None:
        """See Reports."""
        await self._write([(key(shard, flow), report) for flow, report in sorted(reports.items())])

    async def write_providers(self, reports: Mapping[str, ProviderReport | None]) -> None:
        """See ProviderReports."""
        await self._write([(provider_key(name), report) for name, report in sorted(reports.items())])

    async def _write(self, named: Sequence[tuple[str, FlowReport | ProviderReport | None]]) -> None:
        for start in range(0, len(named), LARGEST_BATCH):
            some = named[start : start + LARGEST_BATCH]
            messages = [self._message(name, report) for name, report in some]
            try:
                last = await publish_all(self._connection, messages, one_write=True)
            except JetStreamError as refused:
                raise Unavailable(f"REPORTS takes nothing: {refused}") from refused
            # A batch is stored in one piece.
            first = last - len(some) + 1
            self._revisions.update((name, first + at) for at, (name, _) in enumerate(some))

    def _message(self, name: str, report: FlowReport | ProviderReport | None) -> Message:
        subject = f"$KV.{self._bucket}.{name}"
        over = {"Nats-Expected-Last-Subject-Sequence": str(self._revisions.get(name, 0))}
        if report is None:
            return Message(subject, b"", {**over, "KV-Operation": "DEL"})
        return Message(subject, encode(report), over)

    async def pending(self, shard: int) -> Mapping[str, int]:
        """See Reports."""
        try:
            lags = await flow_lags(self._connection, self._names)
        except JetStreamError as refused:
            raise Unavailable(f"consumers can't be listed: {refused}") from refused
        return {lag.flow: lag.events for lag in lags if lag.shard == shard}


class _Revised(BucketTail):
    """Knows of each key the sequence of its last message, deletions too."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        super().__init__(connection, bucket)
        self.revisions: dict[str, int] = {}

    def _take(self, headers: Mapping[str, str], data: bytes) -> None:
        super()._take(headers, data)
        name = headers["Nats-Subject"].removeprefix(self._prefix)
        self.revisions[name] = int(headers["Nats-Sequence"])
