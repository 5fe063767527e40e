"""Claims of the installation's NATS (decentralised JWT authentication): who is who, and who may do what.

The operator signs accounts, the account's signing key signs users. Keys are made, and claims signed, by
`adapters`; here is only what they say. The shapes are those of nats-io/jwt, version 2.
"""

from collections.abc import Mapping
from typing import Any

from emailflow_api.jetstream.permissions import SERVICES, STREAMS, Permissions

Claims = dict[str, Any]
_UNLIMITED = -1


def operator_claims(operator: str, system: str) -> Claims:
    """The root: it vouches for accounts. Arguments are public keys."""
    return _claims(operator, operator, "emailflow", "operator", {"system_account": system})


def account_claims(operator: str, account: str, signing: str) -> Claims:
    """The account of all runtimes; JetStream is enabled without limits, since the server has its own."""
    return _claims(
        operator, account, "emailflow", "account", {"signing_keys": [signing], "limits": _limits()}
    )


def export_to_producers(account: Claims) -> Claims:
    """The runtimes' account, giving producers what they need: a place to publish, and refusals."""
    return {**account, "nats": {**account["nats"], "exports": _shared()}}


def import_from_runtimes(producers: Claims, account: str) -> Claims:
    """The producers' account. It is apart because JetStream answers a publish wherever the publish says:
    from here an answer can't get into a runtime's streams."""
    imports = [{**each, "account": account} for each in _shared()]
    return {**producers, "nats": {**producers["nats"], "imports": imports}}


def _shared() -> list[dict[str, str]]:
    services = [{"name": each, "subject": each, "type": "service"} for each in SERVICES]
    return services + [{"name": each, "subject": each, "type": "stream"} for each in STREAMS]


def system_claims(operator: str, system: str) -> Claims:
    """The system account, which JetStream asks for; only the operator connects to it."""
    return _claims(operator, system, "system", "account", {"limits": _limits(jetstream=False)})


def user_claims(account: str, signing: str, user: str, name: str, permissions: Permissions) -> Claims:
    """A user who may do what is listed, and nothing else. `signing` is the account's own key, or one that it
    has for that."""
    rights: Claims = {
        "pub": {"allow": list(permissions.publish)},
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


def auth_conf(operator_token: str, system: str, tokens: Mapping[str, str]) -> str:
    """What nats-server includes: the operator, and accounts by public key. It holds no secret of anybody."""
    preloaded = "\n".join(f"  {account}: {token}" for account, token in tokens.items())
    return f"""\
# Made by the EmailFlow operator; do not edit.
operator: {operator_token}
system_account: {system}
resolver: MEMORY
resolver_preload: {{
{preloaded}
}}
"""


def _claims(issuer: str, subject: str, name: str, kind: str, rest: Claims) -> Claims:
    return {"iss": issuer, "sub": subject, "name": name, "nats": {**rest, "type": kind, "version": 2}}


def _limits(*, jetstream: bool = True) -> Claims:
    names = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
    limits: Claims = {**dict.fromkeys(names, _UNLIMITED), "wildcards": True}
    if jetstream:
        stored = ("mem_storage", "disk_storage", "streams", "consumer", "max_ack_pending")
        limits |= dict.fromkeys((*stored, "mem_max_stream_bytes", "disk_max_stream_bytes"), _UNLIMITED)
    return limits
