"""Claims of the installation's NATS (decentralised JWT authentication): who is who, and who may do what.

The operator's key signs accounts, a key of the account signs users. Keys are made, and claims signed, by
`adapters`; here is only what they say. The shapes are those of nats-io/jwt, version 2. Why each runtime has
two accounts: ADR 0018.
"""

from collections.abc import Mapping
from typing import Any

from emailflow_api.jetstream.naming import Names
from emailflow_api.jetstream.ownership import StreamOwner, owner_of_text
from emailflow_api.jetstream.permissions import Permissions, shared

Claims = dict[str, Any]
_UNLIMITED = -1


def operator_claims(operator: str, system: str) -> Claims:
    """The root: it vouches for accounts. Arguments are public keys."""
    return _claims(operator, operator, "emailflow", "operator", {"system_account": system})


def runtime_account(
    operator: str, account: str, signing: str, owner: StreamOwner, *, disk: int, is_open: bool = True
) -> Claims:
    """The account of one runtime's streams, which together may take `disk` bytes.

    Unless it `is_open`, only the account's own key lets users in, which is the operator's: nobody reads or
    writes while its streams are put there.
    """
    names = Names(owner.namespace, owner.name)
    rest: Claims = {"limits": {**_limits(), **_stored(disk)}, "tags": [owner.text()]}
    if is_open:
        rest |= {"signing_keys": [signing], "exports": _exports(names)}
    return _claims(operator, account, names.prefix, "account", rest)


def outside_account(operator: str, account: str, signing: str, owner: StreamOwner, runtime: str) -> Claims:
    """The account of a runtime's producers and readers. It is apart because JetStream answers a publish
    wherever the publish says: from here an answer can't get into the streams."""
    names = Names(owner.namespace, owner.name)
    rest: Claims = {"limits": _limits(), "signing_keys": [signing], "imports": _imports(names, runtime)}
    return _claims(operator, account, f"{names.prefix}_outside", "account", rest)


def former_account(operator: str, account: str) -> Claims:
    """The one account of all runtimes that earlier versions had: its users are let in no more, and only the
    operator still gets at what is in it, by the account's own key."""
    limits = {**_limits(), **_stored(_UNLIMITED)}
    return _claims(operator, account, "emailflow", "account", {"limits": limits})


def system_claims(operator: str, system: str) -> Claims:
    """The system account, which JetStream asks for; only the operator connects to it."""
    return _claims(operator, system, "system", "account", {"limits": _limits()})


def deletion_claims(operator: str, accounts: list[str]) -> Claims:
    """That accounts are to be forgotten by all servers."""
    return _claims(operator, operator, "deletion", "generic", {"accounts": accounts})


def owner_in(claims: Mapping[str, Any]) -> StreamOwner | None:
    """Whose streams an account holds, as its claims say; None for one that doesn't."""
    tags = (claims.get("nats") or {}).get("tags") or ()
    return next((owner for tag in tags if (owner := owner_of_text(tag)) is not None), None)


def user_claims(account: str, signing: str, user: str, name: str, permissions: Permissions) -> Claims:
    """A user who may do what is listed, and nothing else. `signing` is the account's own key, or one that it
    has for that."""
    publish: Claims = {"allow": list(permissions.publish)}
    if permissions.deny_publish:
        publish["deny"] = list(permissions.deny_publish)
    rights: Claims = {
        "pub": publish,
        "sub": {"allow": list(permissions.subscribe)},
        "subs": _UNLIMITED,
        "data": _UNLIMITED,
        "payload": _UNLIMITED,
    }
    if signing != account:
        rights["issuer_account"] = account
    return _claims(signing, user, name, "user", rights)


def same_rights(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether claims that somebody holds say what is wanted; keys of users and times may differ."""
    return (there.get("iss"), there.get("nats")) == (wanted["iss"], wanted["nats"])


def says_the_same(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether an account's claims say what is wanted; when they were signed may differ."""
    return all(there.get(key) == value for key, value in wanted.items())


def disk_of(claims: Mapping[str, Any]) -> int:
    """Bytes that an account keeps free for itself; 0 for one without a limit, or without JetStream."""
    limits = (claims.get("nats") or {}).get("limits") or {}
    return max(0, int(limits.get("disk_storage") or 0))


def accounts_conf(operator_token: str, system: str, tokens: Mapping[str, str]) -> str:
    """What nats-server includes: the operator, and accounts that are there from the start, by public key.

    The others are handed to the running servers, which keep them (`resolver` of the type `full` in
    nats.conf). It holds no secret of anybody.
    """
    preloaded = "\n".join(f"  {account}: {token}" for account, token in tokens.items())
    return f"""\
# Made by the EmailFlow operator; do not edit.
operator: {operator_token}
system_account: {system}
resolver_preload: {{
{preloaded}
}}
"""


def _exports(names: Names) -> list[Claims]:
    share = shared(names)
    many = {"type": "service", "response_type": "Stream"}
    return [
        *({"name": each, "subject": each, "type": "service"} for each in share.services),
        *({"name": each, "subject": each, **many} for each in share.many_answers),
        *({"name": each, "subject": each, "type": "stream"} for each in share.streams),
    ]


def _imports(names: Names, account: str) -> list[Claims]:
    said = ("name", "subject", "type")
    return [{**{key: each[key] for key in said}, "account": account} for each in _exports(names)]


def _claims(issuer: str, subject: str, name: str, kind: str, rest: Claims) -> Claims:
    return {"iss": issuer, "sub": subject, "name": name, "nats": {**rest, "type": kind, "version": 2}}


def _limits() -> Claims:
    names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
    return {**dict.fromkeys(names, _UNLIMITED), "wildcards": True}


def _stored(disk: int) -> Claims:
    """JetStream without memory, and so much of the disk, replicas counted; -1: all there is."""
    free = ("streams", "consumer", "max_ack_pending", "mem_max_stream_bytes", "disk_max_stream_bytes")
    return {**dict.fromkeys(free, _UNLIMITED), "mem_storage": 0, "disk_storage": disk}
