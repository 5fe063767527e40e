"""The settings of a runtime's streams, buckets and consumers, as JetStream's API takes them.

Why each setting that matters is what it is stands beside it; the figures are in DESIGN section 5 and
ADR 0002. Pure: desired state as data.
"""

from typing import Any

from emailflow_api.durations import seconds
from emailflow_api.jetstream.naming import CONTACTS_CONSUMER, DOOR_CONSUMER, Names
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.plans import FlowPlan, Program, RuntimePlan, content_hash

SECOND = 1_000_000_000
OWNER_GROUP = "owner"
"""The priority group that pins a consumer to its shard's owner."""
ACK_WAIT = 60 * SECOND
PIN_TIMEOUT = 30 * SECOND
BUCKETS = ("PLANS", "REPORTS", "LEASES", "CONSENT", "ALIASES")
MAX_FLOWS = 50_000
"""Consumers on EVENTS: one for each flow and shard."""
PLAN = "emailflow.dev/plan"
"""In a flow's consumer: the content hash of the plan that it was made for. Consumers come before the plans
that need them, so whoever reads by an older plan waits for that one."""
REPLAY_REQUESTED = "dev.emailflow.replay.requested"
"""In every flow's feed: a flow that it names reads a stretch of EVENTS again."""

HEADERS_BYTES = 64 << 10
"""What an event's headers may weigh on NATS."""

Config = dict[str, Any]


def streams(
    runtime: RuntimePlan, *, replicas: int = 1, events_bytes: int = 8 << 30, owner: StreamOwner | None = None
) -> list[Config]:
    """All streams, KV buckets (`KV_…`) included. `events_bytes` bounds EVENTS on disk; `owner` is what they
    say of themselves."""
    names = Names(runtime.namespace, runtime.name)
    base: Config = {"storage": "file", "num_replicas": replicas, "allow_direct": True}
    if owner is not None:
        base["metadata"] = owner.metadata()
    made = [
        {
            **base,
            "name": names.inbound,
            "subjects": [f"{names.subject_prefix}.in.>"],
            "retention": "workqueue",
            "discard": "new",
            # What is too large is refused at once, to the producer's face; headers need some room.
            "max_msg_size": runtime.max_body_bytes + HEADERS_BYTES,
            "max_bytes": events_bytes // 8,
        },
        {
            **base,
            "name": names.events,
            "subjects": [f"{names.subject_prefix}.events.>"],
            "allow_atomic": True,
            # Unless it is said, nats-server 2.15 takes no more than 1,000; it can't be changed later.
            "max_consumers": MAX_FLOWS,
            # Full means 503 at the receiver, never a silently forgotten event.
            "discard": "new",
            "max_bytes": events_bytes,
        },
        {
            **base,
            "name": names.dead_letters,
            "subjects": [f"{names.subject_prefix}.deadletter.>"],
            "max_age": int(seconds(runtime.retention_dead_letters)) * SECOND,
            "max_bytes": events_bytes // 8,
        },
    ]
    made += [_state(names, shard, base) for shard in range(runtime.shards)]
    made += [_bucket(names.bucket(name), base) for name in BUCKETS]
    return made


def _state(names: Names, shard: int, base: Config) -> Config:
    return {
        **base,
        "name": names.state(shard),
        "subjects": [f"{names.state_subjects(shard).prefix}.>"],
        "max_msgs_per_subject": 1,
        "allow_atomic": True,
        "allow_msg_ttl": True,
    }


def _bucket(name: str, base: Config) -> Config:
    config = {
        **base,
        "name": f"KV_{name}",
        "subjects": [f"$KV.{name}.>"],
        "max_msgs_per_subject": 1,
        "discard": "new",
        # New contacts of one moment are created together.
        "allow_atomic": True,
        "allow_rollup_hdrs": True,
        "allow_msg_ttl": True,
        "deny_delete": True,
    }
    if name.endswith("_LEASES") and base["num_replicas"] == 1:
        # Renewed often, worth nothing after a crash: acknowledged before it is on disk. Still a file,
        # since what is in memory is gone with nats-server, and a runtime makes no streams.
        config |= {"persist_mode": "async", "allow_atomic": False}
    return config


def _owned(name: str, filters: list[str]) -> Config:
    return {
        "durable_name": name,
        "name": name,
        "ack_policy": "explicit",
        "ack_wait": ACK_WAIT,
        "max_ack_pending": 4096,
        "filter_subjects": filters,
        "priority_policy": "pinned_client",
        "priority_groups": [OWNER_GROUP],
        "priority_timeout": PIN_TIMEOUT,
    }


def flow_consumer(names: Names, shard: int, flow: FlowPlan, programs: list[Program]) -> Config:
    """A flow's durable consumer on EVENTS, named after it, filtered by what its programs react to, and marked
    with its plan.

    `programs` holds every revision that a journey may still be on. With more than one shard the shard's
    number is part of the name.
    """
    types = sorted({REPLAY_REQUESTED}.union(*(program.types() for program in programs)))
    config = _owned(consumer_name(flow.id, shard), [names.event_subject(shard, kind) for kind in types])
    return {**config, **_start(flow.start_from), "metadata": {PLAN: content_hash(flow)}}


def _start(start_from: str) -> Config:
    if start_from == "New":
        return {"deliver_policy": "new"}
    if start_from == "Earliest":
        return {"deliver_policy": "all"}
    return {"deliver_policy": "by_start_time", "opt_start_time": start_from}


def consumer_name(flow: str, shard: int) -> str:
    """The consumer of one flow on one shard."""
    return flow if shard == 0 else f"{flow}_{shard}"


def system_consumers(names: Names, shards: int) -> list[tuple[str, Config]]:
    """The consumers that every runtime has, whatever its flows: each with the stream that it is on."""
    contacts = [(names.events, contacts_consumer(names, shard)) for shard in range(shards)]
    return [(names.inbound, door_consumer()), *contacts]


def door_consumer() -> Config:
    """The system consumer of IN: a work queue has one, and all receivers share it."""
    return {
        "durable_name": DOOR_CONSUMER,
        "name": DOOR_CONSUMER,
        "ack_policy": "explicit",
        "ack_wait": 30 * SECOND,
        "max_ack_pending": 65_536,
        "deliver_policy": "all",
    }


def contacts_consumer(names: Names, shard: int) -> Config:
    """The system consumer that reads everything that came into a shard, to keep its contacts."""
    name = consumer_name(CONTACTS_CONSUMER, shard)
    return {**_owned(name, [names.shard_arrivals(shard)]), "deliver_policy": "all"}
