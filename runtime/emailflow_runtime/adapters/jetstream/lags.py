"""How far behind the flows are, as JetStream counts it: one request for 256 consumers."""

from typing import NamedTuple

from emailflow_api.jetstream.naming import Names
from emailflow_runtime.adapters.jetstream.connection import Connection


class Lag(NamedTuple):
    """Events that a flow (`FlowPlan.id`) on a shard has to look at still, delivered to it or not."""

    flow: str
    shard: int
    events: int


async def flow_lags(connection: Connection, names: Names) -> list[Lag]:
    """The lags of all flows. Raises Unavailable, JetStreamError."""
    lags: list[Lag] = []
    offset = 0
    while True:
        page = await connection.api(f"CONSUMER.LIST.{names.events}", {"offset": offset})
        consumers = page.get("consumers") or []
        for info in consumers:
            flow, shard = _flow_and_shard(info["name"])
            if flow:
                lags.append(Lag(flow, shard, int(info["num_pending"]) + int(info["num_ack_pending"])))
        offset += len(consumers)
        if not consumers or offset >= int(page.get("total", 0)):
            return lags


def _flow_and_shard(consumer: str) -> tuple[str, int]:
    """A flow's consumer is its id, and `_<shard>` above shard 0; other consumers are nobody's."""
    parts = consumer.split("_")
    if len(parts) not in {2, 3} or not all(parts[:2]):
        return "", 0
    return "_".join(parts[:2]), int(parts[2]) if len(parts) == 3 and parts[2].isdigit() else 0
