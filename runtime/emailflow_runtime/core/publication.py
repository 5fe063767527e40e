"""Facts as CloudEvents, and back: what the log holds of a journey.

A fact's event says everything that the fact says, so that a journey can be folded from the log alone.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
    seconds, rest = divmod(at, 1_000_000_000)
    micros = rest // 1000
    return f"{_second(seconds)}.{micros:06}Z" if micros else f"{_second(seconds)}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


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
    extensions: dict[str, bool | int | str] = {HOPS: hops(cause) + 1}
    if cause.extensions:
        extensions.update({name: cause.extensions[name] for name in _TRACE if name in cause.extensions})
    return CloudEvent(
        id=f"{fact.journey}-{fact.number}",
        source=_source(runtime, flow),
        type=fact_type(fact),
        subject=contact,
        time=rfc3339(fact.at),
        datacontenttype="application/json",
        extensions=extensions,
        data=_body(fact, flow, contact),
    )


def _body(fact: Fact, flow: str, contact: str) -> bytes:
    """The fact as a JSON object, without its tag (the event's type says it) and with whom it is about.

    Encoded once, then cut and extended as text: the tag is always the first member, and both names are
    plain (DNS labels, hexadecimal digits).
    """
    if isinstance(fact, Entered):
        body: dict[str, Any] = msgspec.to_builtins(fact, builtin_types=(bytes,))
        del body["type"]
        body.update(flow=flow, contact=contact, event=msgspec.Raw(json_format.encode(fact.event)))
        return _encoder.encode(body)
    encoded = _encoder.encode(fact)
    return b'{%b,"flow":"%b","contact":"%b"}' % (
        encoded[encoded.index(b",") + 1 : -1],
        flow.encode(),
        contact.encode(),
    )


@lru_cache(maxsize=4096)
def _source(runtime: str, flow: str) -> str:
    return f"/emailflow/{runtime.replace('_', '/')}/flows/{flow.replace('_', '/')}"


_TRACE = ("traceparent", "tracestate")


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
