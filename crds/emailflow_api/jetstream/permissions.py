"""What each NATS user of a runtime may do: publish and subscribe lists by role, and no more than its part.

Every runtime has an account of its own, and its producers and readers have another (ADR 0018): JetStream's
answer to a publish goes wherever the publish says, past all lists, but never out of the account. So these
lists keep roles apart that trust one another; accounts keep tenants apart. Lists are as long for one shard as
for many. Pure.
"""

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
"""Each server answers with its settings; who is let into the system account may ask."""
DEFAULT_PRODUCER = "producer"
"""The producer whose credentials the operator makes; others are told apart by their names."""
OUTSIDE = frozenset({Role.PRODUCER, Role.READER})
"""Roles whose users are in the second account, from which JetStream's answers can't reach the streams."""


class Permissions(NamedTuple):
    """Lists in the syntax of NATS: what is not allowed, or is denied, is refused."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    deny_publish: tuple[str, ...] = ()


class Shared(NamedTuple):
    """What a runtime's account exports, and the account of its producers and readers imports."""

    services: tuple[str, ...]
    """A publish from there is answered there, once."""
    many_answers: tuple[str, ...]
    """The same, with any number of answers."""
    streams: tuple[str, ...]


def shared(names: Names) -> Shared:
    """A place to publish events, the log to read by direct get, and where producers hear of refusals."""
    reads = f"{_API}.DIRECT.GET.{names.events}"
    return Shared((names.inbound_subjects,), (reads,), (names.refused_subject("*"),))


def permissions(names: Names, role: Role, *, producer: str = DEFAULT_PRODUCER) -> Permissions:
    """What a user of this role may do in the runtime of these names.

    `producer` names one among the producers, which hears of refusals of its own only.
    """
    match role:
        case Role.PRODUCER:
            heard = (f"{names.inbox(role, producer_suffix(producer))}.>", names.refused_subject(producer))
            return Permissions((names.inbound_subjects,), heard)
        case Role.READER:
            return Permissions((f"{_API}.DIRECT.GET.{names.events}",), (f"{names.inbox(role)}.>",))
        case Role.RUNTIME:
            return _runtime(names)
        case Role.OPERATOR:
            return _operator(names)
        case Role.BACKUP:
            return _backup(names)


def producer_suffix(producer: str) -> str:
    """What tells the inbox of one producer from another's; none for the one that the operator makes."""
    return "" if producer == DEFAULT_PRODUCER else producer


def inventory() -> Permissions:
    """What the operator needs to see which streams an account holds, and to keep those of before."""
    verbs = ("INFO", "UPDATE", "SNAPSHOT", "DELETE")
    publish = (
        f"{_API}.STREAM.LIST",
        *(f"{_API}.STREAM.{verb}.*" for verb in verbs),
        f"{_API}.CONSUMER.LIST.*",
    )
    return Permissions((*publish, "$JS.SNAPSHOT.ACK.>"), (f"{OPERATOR_INBOX}.>",))


def settings_of_servers() -> Permissions:
    """What a user of the system account needs: servers' settings, new settings, and accounts."""
    publish = (
        SERVER_SETTINGS,
        "$SYS.REQ.SERVER.*.RELOAD",
        "$SYS.REQ.CLAIMS.*",
        "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP",
    )
    return Permissions(publish, (f"{OPERATOR_INBOX}.>",))


def _runtime(names: Names) -> Permissions:
    """It owns the content of every stream but PLANS; streams themselves are not its to make or delete."""
    publish = [
        f"{names.subject_prefix}.>",
        *(f"$KV.{names.bucket(each)}.>" for each in OWN_BUCKETS),
        *(f"{_API}.STREAM.{verb}.*" for verb in ("INFO", "PURGE", "MSG.DELETE")),
        f"{_API}.DIRECT.GET.*",
        f"{_API}.CONSUMER.*.*",
        f"{_API}.CONSUMER.*.*.>",
        "$JS.ACK.>",
    ]
    plans = f"KV_{names.bucket('PLANS')}"
    denied = [
        *(f"{_API}.STREAM.{verb}.{plans}" for verb in ("PURGE", "MSG.DELETE")),
        f"{_API}.CONSUMER.*.{plans}",
        f"{_API}.CONSUMER.*.{plans}.>",
    ]
    watched = (*READ_BUCKETS, *OWN_BUCKETS)
    subscribe = [f"{names.inbox(Role.RUNTIME)}.>", *(f"$KV.{names.bucket(each)}.>" for each in watched)]
    return Permissions(tuple(publish), tuple(subscribe), tuple(denied))


def _operator(names: Names) -> Permissions:
    """It makes streams and consumers, writes PLANS and reads REPORTS; events are none of its business.

    Of STATE it may read the epochs, which say who owns a shard.
    """
    read = ("PLANS", "REPORTS")
    publish = [
        f"{_API}.INFO",
        f"{_API}.STREAM.LIST",
        f"$KV.{names.bucket('PLANS')}.>",
        *(f"{_API}.STREAM.{verb}.*" for verb in ("CREATE", "UPDATE", "INFO", "DELETE")),
        f"{_API}.CONSUMER.*.*",
        f"{_API}.CONSUMER.*.*.>",
        *(f"{_API}.DIRECT.GET.KV_{names.bucket(each)}" for each in read),
        f"{_API}.DIRECT.GET.*.{names.subject_prefix}.state.*.epoch",
    ]
    subscribe = [f"{names.inbox(Role.OPERATOR)}.>", *(f"$KV.{names.bucket(each)}.>" for each in read)]
    return Permissions(tuple(publish), tuple(subscribe), (f"{_API}.CONSUMER.MSG.>",))


def _backup(names: Names) -> Permissions:
    """It takes streams out as they are, and puts them back where there are none."""
    verbs = ("INFO", "SNAPSHOT", "RESTORE")
    publish = [
        f"{_API}.STREAM.LIST",
        *(f"{_API}.STREAM.{verb}.*" for verb in verbs),
        f"{_API}.CONSUMER.LIST.*",
        "$JS.SNAPSHOT.>",
    ]
    return Permissions(tuple(publish), (f"{names.inbox(Role.BACKUP)}.>",))
