"""Facts as CloudEvents, and back: what the log holds of a journey.

A fact's event says everything that the fact says, so that a journey can be folded from the log alone.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from emailflow_runtime.core.cloudevents import json_format
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.facts import Entered, Fact, fact_type

PREFIX = "dev.emailflow."
"""Types of events that EmailFlow derives."""
HOPS = "emailflowhops"
MAX_HOPS = 16
"""An event derived from more events in a row than this is a loop (DESIGN section 4)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()
_facts = {
    member.__struct_config__.tag: member
    for member in Fact.__args__
    if isinstance(member, type) and issubclass(member, msgspec.Struct)
}


def rfc3339(at: int) -> str:
    """Nanoseconds since 1970 UTC as an RFC 3339 timestamp with microseconds."""
    return (_EPOCH + timedelta(microseconds=at // 1000)).isoformat().replace("+00:00", "Z")


def hops(event: CloudEvent) -> int:
    """How many events in a row led to this one; 0 for one that a producer sent."""
    found = event.extensions.get(HOPS, 0)
    try:
        return int(found)
    except ValueError:
        return MAX_HOPS + 1


def publish(fact: Fact, *, runtime: str, flow: str, contact: str, cause: CloudEvent) -> CloudEvent:
    """The event that tells the world of a fact.

    `runtime` and `flow` are ids (`namespace_name`), `contact` is the opaque key, `cause` the event that
    started the journey: its trace and its hops go on.
    """
    body: dict[str, Any] = msgspec.to_builtins(fact, builtin_types=(bytes,), enc_hook=_refuse)
    del body["type"]
    body.update(flow=flow, contact=contact)
    if isinstance(fact, Entered):
        body["event"] = msgspec.Raw(json_format.encode(fact.event))
    extensions: dict[str, bool | int | str] = {HOPS: hops(cause) + 1}
    extensions.update({name: cause.extensions[name] for name in _TRACE if name in cause.extensions})
    return CloudEvent(
        id=f"{fact.journey}-{fact.number}",
        source=f"/emailflow/{runtime.replace('_', '/')}/flows/{flow.replace('_', '/')}",
        type=fact_type(fact),
        subject=contact,
        time=rfc3339(fact.at),
        datacontenttype="application/json",
        extensions=extensions,
        data=_encoder.encode(body),
    )


_TRACE = ("traceparent", "tracestate")


def _refuse(value: Any) -> Any:
    raise TypeError(f"a fact can't hold {type(value).__name__}")


def read_fact(event: CloudEvent) -> Fact | None:
    """The fact that an event tells of, or None if it tells of none. Raises msgspec.ValidationError."""
    kind = _facts.get(event.type.removeprefix(PREFIX))
    if kind is None or event.data is None:
        return None
    body: dict[str, Any] = msgspec.json.decode(event.data)
    if kind is Entered:
        entering = json_format.decode(msgspec.json.encode(body["event"]))
        body["event"] = msgspec.to_builtins(entering, builtin_types=(bytes,))
    body["type"] = kind.__struct_config__.tag
    return cast(Fact, msgspec.convert(body, kind))
