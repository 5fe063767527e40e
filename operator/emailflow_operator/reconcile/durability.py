"""What `Durable` says of a runtime: whether its NATS acknowledges only what is on disk.

Judged from what servers answer to $SYS.REQ.SERVER.PING.VARZ; they are asked by `adapters`. Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from emailflow_api.conditions import Statement
from emailflow_operator.reconcile import reasons

DURABLE = "Durable"


def durability(answers: Iterable[Mapping[str, Any]]) -> Statement:
    """The condition; Unknown when no server with JetStream has answered."""
    settings: dict[str, Mapping[str, Any]] = {}
    for each in answers:
        jetstream = (each.get("data") or {}).get("jetstream") or {}
        if config := jetstream.get("config"):
            settings[(each.get("server") or {}).get("name") or "?"] = config
    lax = sorted(name for name, config in settings.items() if not config.get("sync_always"))
    if lax:
        which = ", ".join(lax[:5])
        return Statement(
            DURABLE,
            "False",
            reasons.SYNC_INTERVAL,
            f"NATS ({which}) acknowledges before it writes to disk: expected `sync_interval: always`",
        )
    if settings:
        return Statement(DURABLE, "True", reasons.SYNC_ALWAYS, "NATS acknowledges only what is on disk")
    return Statement(
        DURABLE,
        "Unknown",
        reasons.SYNC_UNKNOWN,
        "NATS does not show its settings to this user: see that it has `sync_interval: always`",
    )
