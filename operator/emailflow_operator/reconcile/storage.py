"""What a runtime needs of its NATS in bytes: messages that are large enough, and room for its streams.

`StorageAvailable` is judged from what JetStream says of the runtime's account. At the limit JetStream refuses
writes of this runtime, and of no other; what is stored stays. Pure.
"""

from collections.abc import Mapping
from typing import Any

from emailflow_api.conditions import Statement
from emailflow_api.plans import RuntimePlan
from emailflow_operator.errors import MaxPayloadTooSmall
from emailflow_operator.reconcile import reasons

STORAGE_AVAILABLE = "StorageAvailable"
FULL_FROM = 0.95
"""Of the limit: the last writes before refusals are few."""
PAYLOADS = 4
"""Of the largest body: a record holds the event that began it, its facts another, and both have headers."""


def check_max_payload(max_payload: int, runtime: RuntimePlan) -> None:
    """Raises MaxPayloadTooSmall where NATS would cut the connection at what the runtime has to write."""
    needed = PAYLOADS * runtime.max_body_bytes
    if max_payload < needed:
        raise MaxPayloadTooSmall(
            f"NATS has max_payload {max_payload}: expected {needed} at least, {PAYLOADS} times "
            f"spec.receiver.maxBodyBytes ({runtime.max_body_bytes})"
        )


def storage(account: Mapping[str, Any]) -> Statement | None:
    """The condition, from an answer of `$JS.API.INFO`; None where there is no limit."""
    limit = int((account.get("limits") or {}).get("max_storage") or -1)
    used = int(account.get("storage") or 0)
    if limit <= 0:
        return None
    said = f"The streams take {used >> 20} of {limit >> 20} MiB that NATS keeps for this runtime"
    if used < limit * FULL_FROM:
        return Statement(
            STORAGE_AVAILABLE, "True", reasons.STORAGE_AVAILABLE, "There is room for the streams"
        )
    return Statement(
        STORAGE_AVAILABLE,
        "False",
        reasons.STORAGE_FULL,
        f"{said}: expected shorter retention, or more for each runtime (nats.storagePerRuntime)",
    )
