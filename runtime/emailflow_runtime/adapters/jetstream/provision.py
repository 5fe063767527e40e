"""Making streams, buckets and consumers equal to what the topology says. Level-based: again is harmless.

In a cluster the operator does this; `emailflow dev` has no operator and calls it here. A consumer that
exists keeps its position.
"""

from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.topology import (
    Config,
    consumer_name,
    flow_consumer,
    streams,
    system_consumers,
)
from emailflow_api.plans import Plans, RuntimePlan
from emailflow_runtime.adapters.jetstream.connection import Connection, JetStreamError

NOT_FOUND = {10014, 10059}
_START = ("deliver_policy", "opt_start_time", "opt_start_seq")


async def provision_streams(connection: Connection, runtime: RuntimePlan, *, events_bytes: int) -> None:
    """Create or update everything that doesn't depend on flows. Raises JetStreamError, Unavailable."""
    for config in streams(runtime, events_bytes=events_bytes):
        name = config["name"]
        if there := await _exists(connection, f"STREAM.INFO.{name}"):
            # JetStream refuses to take back some of what an earlier version asked for, and to change this.
            fixed = {"max_consumers": there["config"]["max_consumers"]}
            await connection.api(f"STREAM.UPDATE.{name}", {**there["config"], **config, **fixed})
        else:
            await connection.api(f"STREAM.CREATE.{name}", config)
    names = Names(runtime.namespace, runtime.name)
    for stream, config in system_consumers(names, runtime.shards):
        await _ensure_consumer(connection, stream, config)


async def provision_flows(connection: Connection, plans: Plans) -> None:
    """Create or update the consumers of all flows. Raises JetStreamError, Unavailable."""
    names = Names(plans.runtime.namespace, plans.runtime.name)
    for flow in plans.flows.values():
        revisions = (flow.revision, *flow.earlier)
        programs = [plans.programs[each] for each in revisions if each in plans.programs]
        for shard in range(plans.runtime.shards):
            config = flow_consumer(names, shard, flow, programs)
            await _ensure_consumer(connection, names.events, config)


async def remove_flow(connection: Connection, runtime: RuntimePlan, flow: str) -> None:
    """Delete the consumers of a flow (id) that is gone. Raises JetStreamError, Unavailable."""
    names = Names(runtime.namespace, runtime.name)
    for shard in range(runtime.shards):
        subject = f"CONSUMER.DELETE.{names.events}.{consumer_name(flow, shard)}"
        await _exists(connection, subject)


async def _exists(connection: Connection, subject: str) -> dict[str, Any] | None:
    try:
        return await connection.api(subject)
    except JetStreamError as missing:
        if missing.code not in NOT_FOUND:
            raise
        return None


async def _ensure_consumer(connection: Connection, stream: str, config: Config) -> None:
    name = config["name"]
    existing = await _exists(connection, f"CONSUMER.INFO.{stream}.{name}")
    if existing is not None:
        # Where it starts can't be changed, and must not be: its position is what counts now.
        start = {field: existing["config"][field] for field in _START if field in existing["config"]}
        config = {**{field: value for field, value in config.items() if field not in _START}, **start}
        # The server has entries of its own there.
        config["metadata"] = {**(existing["config"].get("metadata") or {}), **config.get("metadata", {})}
        if all(existing["config"].get(field) == value for field, value in config.items()):
            return
    body = {"stream_name": stream, "config": config}
    await connection.api(f"CONSUMER.CREATE.{stream}.{name}", body)
