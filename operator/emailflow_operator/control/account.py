"""The users of the installation's NATS: made once, kept in Secrets, made anew when their rights change.

The keys of the installation are in one Secret of the operator's namespace, which the NATS pods include; what
a runtime's pods and producers connect with is in a Secret of the runtime's namespace. Neither is ever listed.
"""

import base64
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.permissions import Permissions, inventory, permissions, settings_of_servers
from emailflow_api.kinds import API_VERSION
from emailflow_operator.adapters.kubernetes_api import KubernetesApi, path_of
from emailflow_operator.adapters.nats_connection import Server
from emailflow_operator.adapters.nats_keys import (
    ACCOUNT,
    OPERATOR,
    USER,
    KeyPair,
    claims_in,
    credentials_file,
    new_key,
)
from emailflow_operator.errors import InvalidCredentials
from emailflow_operator.reconcile.children.labels import FIELD_MANAGER, MANAGED_BY
from emailflow_operator.reconcile.children.secrets import (
    NATS_SECRET,
    producer_credentials,
    runtime_credentials,
)
from emailflow_operator.reconcile.cluster import Object, name_of
from emailflow_operator.reconcile.nats_claims import (
    account_claims,
    auth_conf,
    export_to_producers,
    import_from_runtimes,
    operator_claims,
    same_rights,
    system_claims,
    user_claims,
)

AUTH_SECRET = "emailflow-nats-auth"  # noqa: S105 - the name of a Secret
_SEEDS = {
    "operator.nk": OPERATOR,
    "account.nk": ACCOUNT,
    "producers.nk": ACCOUNT,
    "signing.nk": ACCOUNT,
    "system.nk": ACCOUNT,
}

log = logging.getLogger(__name__)


class _Keys(NamedTuple):
    operator: KeyPair
    account: KeyPair
    producers: KeyPair
    signing: KeyPair
    system: KeyPair

    def account_of(self, role: Role) -> str:
        """The account that users of this role are in."""
        return (self.producers if role in {Role.PRODUCER, Role.SIDECAR} else self.account).public


class Accounts:
    """Comes with the installation's NATS. Everything raises KubernetesRefused, KubernetesUnreachable."""

    def __init__(self, api: KubernetesApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._keys: _Keys | None = None
        self._installation = ""
        self._servers: dict[tuple[Names, int], Server] = {}
        self._own: dict[str, Server] = {}

    async def ensure(self) -> None:
        """Make sure of the installation's keys: NATS starts once they are there.

        Raises InvalidCredentials when they are there and unreadable: new ones would shut everybody out.
        """
        there = await self._get(self._namespace, AUTH_SECRET)
        found = _decoded(there)
        if not any(key in found for key in _SEEDS):
            seeds = {name: new_key(kind).seed for name, kind in _SEEDS.items()}
            log.info("made the keys of the installation's NATS")
        else:
            seeds = {name: found.get(name, "") for name in _SEEDS}
        keys = _Keys(*(_key(name, seeds[name]) for name in _SEEDS))
        if there is None or "auth.conf" not in found:
            data = {**seeds, "auth.conf": _auth_conf(keys)}
            there = await self._api.apply(_secret(self._namespace, AUTH_SECRET, data))
        self._keys, self._installation = keys, there["metadata"]["uid"]

    async def installation(self) -> str:
        """What tells this installation's streams from those of another that a NATS may hold as well."""
        await self._installed()
        return self._installation

    async def inventory_server(self, url: str) -> Server:
        """How the operator sees which streams there are."""
        keys = await self._installed()
        return self._own_server(url, keys.account, keys.signing, inventory())

    async def system_server(self, url: str) -> Server:
        """How the operator asks servers for their settings."""
        keys = await self._installed()
        return self._own_server(url, keys.system, keys.system, settings_of_servers())

    def _own_server(self, url: str, account: KeyPair, signing: KeyPair, rights: Permissions) -> Server:
        if account.public not in self._own:
            user = new_key(USER)
            claims = user_claims(account.public, signing.public, user.public, "operator", rights)
            self._own[account.public] = Server(url, credentials_file(signing.sign(claims), user.seed))
        return self._own[account.public]

    async def operator_server(self, url: str, names: Names, shards: int) -> Server:
        """How the operator itself gets in, for one runtime: its user lives as long as the process."""
        if (names, shards) not in self._servers:
            user = await self._user(names, Role.OPERATOR, shards)
            self._servers[names, shards] = Server(url, user, inbox_prefix=names.inbox(Role.OPERATOR))
        return self._servers[names, shards]

    async def ensure_users(self, owner: Object) -> None:
        """Make sure that a runtime's pods and its producers have credentials with the rights of today."""
        keys, names = await self._installed(), Names(*name_of(owner))
        there = _decoded(await self._get(names.namespace, NATS_SECRET))
        wanted: dict[str, str] = {}
        for key, role in (
            (runtime_credentials(names.name), Role.RUNTIME),
            (producer_credentials(names.name), Role.PRODUCER),
        ):
            rights = permissions(names, role, shards=shards_of(owner))
            asked = user_claims(keys.account_of(role), keys.signing.public, "", "", rights)
            if not same_rights(claims_in(there.get(key, "")), asked):
                wanted[key] = await self._user(names, role, shards_of(owner))
        if wanted:
            mine = {key: value for key, value in there.items() if key.startswith(f"{names.name}.")}
            # A field manager for each runtime, for applying less takes away what the same manager had.
            await self._api.apply(
                _secret(names.namespace, NATS_SECRET, {**mine, **wanted}, owner),
                manager=f"{FIELD_MANAGER}-{names.name}",
            )
            log.info("%s/%s: made NATS credentials", *names)

    async def _user(self, names: Names, role: Role, shards: int) -> str:
        """New credentials."""
        keys, user = await self._installed(), new_key(USER)
        rights = permissions(names, role, shards=shards)
        name = f"{names.prefix}_{role}"
        claims = user_claims(keys.account_of(role), keys.signing.public, user.public, name, rights)
        return credentials_file(keys.signing.sign(claims), user.seed)

    async def _installed(self) -> _Keys:
        if self._keys is None:
            await self.ensure()
        assert self._keys is not None  # noqa: S101 - `ensure` has made them, or has raised
        return self._keys

    async def _get(self, namespace: str, name: str) -> Object | None:
        metadata = {"namespace": namespace, "name": name}
        return await self._api.get(path_of({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}))


def _decoded(secret: Object | None) -> dict[str, str]:
    data: Mapping[str, str] = (secret or {}).get("data") or {}
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _key(name: str, seed: str) -> KeyPair:
    try:
        return KeyPair(seed)
    except InvalidCredentials:
        raise InvalidCredentials(f"the key `{name}` of the Secret {AUTH_SECRET} is no nkey seed") from None


def _auth_conf(keys: _Keys) -> str:
    operator, system = keys.operator, keys.system.public
    account, producers = (
        account_claims(operator.public, each.public, keys.signing.public)
        for each in (keys.account, keys.producers)
    )
    accounts = {
        keys.account.public: export_to_producers(account),
        keys.producers.public: import_from_runtimes(producers, keys.account.public),
        system: system_claims(operator.public, system),
    }
    tokens = {account: operator.sign(claims) for account, claims in accounts.items()}
    return auth_conf(operator.sign(operator_claims(operator.public, system)), system, tokens)


def shards_of(owner: Object) -> int:
    """The shards of a raw EmailRuntime."""
    return (owner.get("spec") or {}).get("shards") or 1


def _secret(namespace: str, name: str, data: Mapping[str, str], owner: Object | None = None) -> Object:
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {MANAGED_BY: FIELD_MANAGER, "app.kubernetes.io/part-of": "emailflow"},
    }
    if owner is not None:
        # Gone with the last of the namespace's runtimes.
        reference = {"apiVersion": API_VERSION, "kind": "EmailRuntime", "blockOwnerDeletion": False}
        about = owner["metadata"]
        metadata["ownerReferences"] = [{**reference, "name": about["name"], "uid": about["uid"]}]
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": encoded}
