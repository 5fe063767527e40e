"""What each NATS user of a runtime may do: publish and subscribe lists by role, and no more than its part.

Whoever makes the users (the operator, or the administrator of a NATS of one's own) puts these lists into
them. STATE is the runtime's alone. JetStream's answer to a publish goes wherever the publish says, past all
lists: so inboxes are private to a role, and producers belong into an account of their own, whose answers
can't reach this one (`SERVICES`, `STREAMS`). Pure.
"""

from collections.abc import Iterable
from typing import NamedTuple

from emailflow_api.jetstream.naming import Names, Role

_API = "$JS.API"
READ_BUCKETS = ("PLANS",)
"""What the operator writes and the runtime reads."""
OWN_BUCKETS = ("REPORTS", "LEASES", "CONSENT", "ALIASES")
"""What the runtime writes."""


OPERATOR_INBOX = "_INBOX_operator"
"""The first token of the operator's inboxes where it speaks for no runtime."""
SERVER_SETTINGS = "$SYS.REQ.SERVER.PING.VARZ"
"""Each server answers with its settings; whom the system account lets in may ask."""
SERVICES = ("emailflow.*.*.in.>",)
"""Exported as services to the account of producers: what is published there is answered there."""
STREAMS = ("emailflow.*.*.refused.*",)
"""Exported as streams to the account of producers."""


class Permissions(NamedTuple):
    """Allow lists, in the syntax of NATS; everything else is refused."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(names: Names, role: Role, *, shards: int = 1) -> Permissions:
    """What a user of this role may do in the runtime of these names, which has so many shards."""
    match role:
        case Role.PRODUCER | Role.SIDECAR:
            heard = (f"{names.inbox(role)}.>", names.refused_subject("*"))
            return Permissions((names.inbound_subjects,), heard)
        case Role.RUNTIME:
            return _runtime(names, shards)
        case Role.OPERATOR:
            return _operator(names, shards)


def inventory() -> Permissions:
    """What the operator itself needs to see which streams there are, whosever they are."""
    return Permissions((f"{_API}.STREAM.LIST",), (f"{OPERATOR_INBOX}.>",))


def settings_of_servers() -> Permissions:
    """What a user of the system account needs to ask nats-servers how they are set up."""
    return Permissions((SERVER_SETTINGS,), (f"{OPERATOR_INBOX}.>",))


def _streams(names: Names, shards: int) -> list[str]:
    return [names.inbound, names.events, names.dead_letters, *(names.state(each) for each in range(shards))]


def _buckets(names: Names, buckets: Iterable[str]) -> list[str]:
    return [f"KV_{names.bucket(each)}" for each in buckets]


def _runtime(names: Names, shards: int) -> Permissions:
    """It owns the content of every stream but PLANS; streams themselves are not its to make or delete.

    But for LEASES: that lives in nats-server's memory, and owners can't wait for the operator.
    """
    streams = _streams(names, shards)
    subjects = names.subject_prefix
    publish = [
        *(f"{subjects}.{each}.>" for each in ("in", "events", "state", "deadletter")),
        *(f"$KV.{names.bucket(each)}.>" for each in OWN_BUCKETS),
        names.refused_subject("*"),
    ]
    for stream in streams:
        publish += [
            f"{_API}.STREAM.INFO.{stream}",
            f"{_API}.STREAM.PURGE.{stream}",
            f"{_API}.STREAM.MSG.DELETE.{stream}",
            f"{_API}.DIRECT.GET.{stream}",
            f"{_API}.CONSUMER.*.{stream}",
            f"{_API}.CONSUMER.*.{stream}.>",
            f"{_API}.CONSUMER.MSG.NEXT.{stream}.*",
            f"$JS.ACK.{stream}.>",
        ]
    for bucket in _buckets(names, (*READ_BUCKETS, *OWN_BUCKETS)):
        publish += [f"{_API}.STREAM.INFO.{bucket}", f"{_API}.DIRECT.GET.{bucket}"]
    publish.append(f"{_API}.STREAM.CREATE.KV_{names.bucket('LEASES')}")
    watched = (*READ_BUCKETS, *OWN_BUCKETS)
    subscribe = [f"{names.inbox(Role.RUNTIME)}.>", *(f"$KV.{names.bucket(each)}.>" for each in watched)]
    return Permissions(tuple(publish), tuple(subscribe))


def _operator(names: Names, shards: int) -> Permissions:
    """It makes streams and consumers, writes PLANS and reads REPORTS; events are none of its business.

    Of STATE it may read the epochs, which say who owns a shard.
    """
    streams = [*_streams(names, shards), *_buckets(names, (*READ_BUCKETS, *OWN_BUCKETS))]
    publish = [f"{_API}.INFO", f"$KV.{names.bucket('PLANS')}.>"]
    for stream in streams:
        publish += [f"{_API}.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE", "INFO", "DELETE")]
    for stream in _streams(names, shards):
        publish += [f"{_API}.CONSUMER.*.{stream}", f"{_API}.CONSUMER.*.{stream}.>"]
    read = ("PLANS", "REPORTS")
    publish += [f"{_API}.DIRECT.GET.{bucket}" for bucket in _buckets(names, read)]
    epochs = [(names.state(each), names.state_subjects(each).epoch) for each in range(shards)]
    publish += [f"{_API}.DIRECT.GET.{stream}.{epoch}" for stream, epoch in epochs]
    subscribe = [f"{names.inbox(Role.OPERATOR)}.>", *(f"$KV.{names.bucket(each)}.>" for each in read)]
    return Permissions(tuple(publish), tuple(subscribe))
