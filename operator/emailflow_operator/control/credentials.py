"""Credentials for the installation's NATS, in Secrets of the runtime's namespace: one Secret for each kind of
user, so that handing out the producers' hands out nothing else. Made anew when rights change, never listed.
"""

import logging

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.permissions import OUTSIDE, permissions
from emailflow_api.kinds import API_VERSION
from emailflow_operator.adapters.kubernetes_api import KubernetesApi, path_of
from emailflow_operator.adapters.nats_keys import USER, claims_in, credentials_file, new_key
from emailflow_operator.control.account import Accounts
from emailflow_operator.control.installation_keys import decoded, secret
from emailflow_operator.reconcile.children.labels import FIELD_MANAGER, MANAGED_BY
from emailflow_operator.reconcile.children.secrets import (
    NATS_FORMER,
    NATS_PRODUCER,
    NATS_READER,
    NATS_RUNTIME,
    authority_key,
    credentials_key,
)
from emailflow_operator.reconcile.cluster import Object, name_of
from emailflow_operator.reconcile.nats_claims import same_rights, user_claims

SECRETS = {NATS_RUNTIME: Role.RUNTIME, NATS_PRODUCER: Role.PRODUCER, NATS_READER: Role.READER}

log = logging.getLogger(__name__)


class Credentials:
    """Of all runtimes. Everything raises KubernetesRefused, KubernetesUnreachable, InvalidCredentials."""

    def __init__(self, api: KubernetesApi, accounts: Accounts) -> None:
        self._api = api
        self._accounts = accounts

    async def ensure(self, owner: Object) -> None:
        """Make sure that a runtime's pods, its producers and readers have credentials with today's rights."""
        names = Names(*name_of(owner))
        for name, role in SECRETS.items():
            await self._ensure(owner, names, name, role)

    async def _ensure(self, owner: Object, names: Names, name: str, role: Role) -> None:
        there = decoded(await self._api.get(_path(names.namespace, name)))
        held, trusted = credentials_key(names.name), authority_key(names.name)
        wanted = {held: there.get(held, "")}
        if not await self._is_right(names, role, wanted[held]):
            wanted[held] = await self.user(names, role)
        if self._accounts.authority:
            wanted[trusted] = self._accounts.authority
        if wanted == {key: value for key, value in there.items() if key in {held, trusted}}:
            return
        manifest = _owned(secret(names.namespace, name, wanted), owner)
        # A field manager for each runtime, for applying less takes away what the same manager had.
        await self._api.apply(manifest, manager=f"{FIELD_MANAGER}-{names.name}")
        log.info("%s/%s: made NATS credentials: %s", *names, role)

    async def _is_right(self, names: Names, role: Role, held: str) -> bool:
        keys = await self._accounts.keys()
        account = keys.outside(names) if role in OUTSIDE else keys.runtime(names)
        rights = permissions(names, role)
        asked = user_claims(account.own.public, account.signing.public, "", "", rights)
        return same_rights(claims_in(held), asked)

    async def user(self, names: Names, role: Role) -> str:
        """New credentials of a role."""
        keys, user = await self._accounts.keys(), new_key(USER)
        account = keys.outside(names) if role in OUTSIDE else keys.runtime(names)
        claims = user_claims(
            account.own.public,
            account.signing.public,
            user.public,
            f"{names.prefix}_{role}",
            permissions(names, role),
        )
        return credentials_file(account.signing.sign(claims), user.seed)

    async def empty_former(self, owner: Object) -> None:
        """Take a runtime's keys out of the Secret of earlier versions: they let in nobody any more.

        The Secret itself goes with the last EmailRuntime that owns it.
        """
        namespace, name = name_of(owner)
        there = await self._api.get(_path(namespace, NATS_FORMER))
        if there is None or (there["metadata"].get("labels") or {}).get(MANAGED_BY) != FIELD_MANAGER:
            return
        if any(key.startswith(f"{name}.") for key in decoded(there)):
            manifest = _owned(secret(namespace, NATS_FORMER, {}), owner)
            await self._api.apply(manifest, manager=f"{FIELD_MANAGER}-{name}")
            log.info("%s/%s: emptied the Secret %s of an earlier version", namespace, name, NATS_FORMER)


def _owned(manifest: Object, owner: Object) -> Object:
    """Gone with the last of the namespace's runtimes."""
    about = owner["metadata"]
    reference = {"apiVersion": API_VERSION, "kind": "EmailRuntime", "blockOwnerDeletion": False}
    manifest["metadata"]["ownerReferences"] = [{**reference, "name": about["name"], "uid": about["uid"]}]
    return manifest


def _path(namespace: str, name: str) -> str:
    metadata = {"namespace": namespace, "name": name}
    return path_of({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
