"""REPORTS in its KV bucket, and how much each flow's consumer has still to read."""

from collections.abc import Mapping

from emailflow_api.jetstream.naming import Names
from emailflow_api.reports import FlowReport, encode, key, read_reports
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

    async def read(self, shard: int) -> Mapping[str, FlowReport]:
        """See Reports."""
        reports = await self.all()
        return {flow: shards[shard] for flow, shards in reports.items() if shard in shards}

    async def all(self) -> dict[str, dict[int, FlowReport]]:
        """Every report: flow id -> shard -> report. Raises Unavailable."""
        tail = BucketTail(self._connection, self._bucket)
        await tail.start()
        await tail.close()
        return read_reports(tail.values)

    async def write(self, shard: int, reports: Mapping[str, FlowReport | None]) -> None:
        """See Reports."""
        messages = [self._message(key(shard, flow), report) for flow, report in sorted(reports.items())]
        for start in range(0, len(messages), LARGEST_BATCH):
            try:
                await publish_all(self._connection, messages[start : start + LARGEST_BATCH])
            except JetStreamError as refused:
                raise Unavailable(f"REPORTS takes nothing: {refused}") from refused

    def _message(self, name: str, report: FlowReport | None) -> Message:
        subject = f"$KV.{self._bucket}.{name}"
        if report is None:
            return Message(subject, b"", {"KV-Operation": "DEL"})
        return Message(subject, encode(report), {})

    async def pending(self, shard: int) -> Mapping[str, int]:
        """See Reports."""
        try:
            lags = await flow_lags(self._connection, self._names)
        except JetStreamError as refused:
            raise Unavailable(f"consumers can't be listed: {refused}") from refused
        return {lag.flow: lag.events for lag in lags if lag.shard == shard}
