"""Accounts of the installation's NATS: one for each runtime's streams, one for its producers and readers.

The servers keep what they are handed; it is read again after every reconnect, and handed over where it says
something else. What runtimes may take of the disk together never exceeds what servers may store: an account
that doesn't fit is not made. The operator's own users live as long as the process.
"""

import asyncio
import json
import logging
from typing import Any

from emailflow_api.jetstream.naming import Names, Role
from emailflow_api.jetstream.ownership import StreamOwner
from emailflow_api.jetstream.permissions import (
    OPERATOR_INBOX,
    SERVER_SETTINGS,
    Permissions,
    inventory,
    permissions,
    settings_of_servers,
)
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.nats_connection import NatsConnection, Server
from emailflow_operator.adapters.nats_keys import USER, KeyPair, claims_of, credentials_file, new_key
from emailflow_operator.adapters.servers import Servers
from emailflow_operator.control.installation_keys import InstallationKeys, ensure_keys
from emailflow_operator.errors import AccountRefused, NatsStorageExhausted, NatsUnreachable
from emailflow_operator.reconcile.nats_claims import (
    Claims,
    deletion_claims,
    disk_of,
    outside_account,
    owner_in,
    runtime_account,
    says_the_same,
    user_claims,
)

SHARE = 4
"""A runtime may take this part of what a server stores, unless the command line says how much."""
WITHIN = 0.5
"""Seconds to wait for all servers' answers."""

log = logging.getLogger(__name__)


class Accounts:
    """Comes with the installation's NATS. Everything raises KubernetesRefused, KubernetesUnreachable."""

    def __init__(
        self, api: KubernetesApi, namespace: str, servers: Servers, *, url: str = "", share: int = 0
    ) -> None:
        """`share`: bytes of a server's disk for each runtime, 0: the SHARE-th part of what there is."""
        self.url = url
        self.authority = ""
        """CA certificates (PEM) of the installation's NATS; empty: it speaks no TLS."""
        self._api = api
        self._namespace = namespace
        self._servers = servers
        self._share = share
        self._keys: InstallationKeys | None = None
        self._installation = ""
        self._users: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self._asked: NatsConnection | None = None
        self._told_by: NatsConnection | None = None
        self._known: dict[str, Claims] = {}
        """Claims of accounts by public key, as the servers have them."""
        self._room = (0, 0)

    async def ensure(self) -> None:
        """Make sure of the installation's keys: NATS starts once they are there.

        Raises InvalidCredentials when they are there and unreadable.
        """
        self._keys, self._installation = await ensure_keys(self._api, self._namespace)

    async def keys(self) -> InstallationKeys:
        """The installation's keys."""
        if self._keys is None:
            await self.ensure()
        assert self._keys is not None  # noqa: S101 - `ensure` has made them, or has raised
        return self._keys

    async def installation(self) -> str:
        """What tells this installation's streams from those of another that a NATS may hold as well."""
        await self.keys()
        return self._installation

    # --- how the operator gets in -------------------------------------------------------------------

    async def system_server(self) -> Server:
        """How the operator asks servers for their settings, and hands accounts to them."""
        keys = await self.keys()
        return self._server(keys.system, settings_of_servers(), OPERATOR_INBOX)

    async def former_server(self) -> Server | None:
        """How the operator gets at what earlier versions kept in one account; None where there is none."""
        keys = await self.keys()
        return self._server(keys.former, inventory(), OPERATOR_INBOX) if keys.former else None

    async def server(self, names: Names, role: Role = Role.OPERATOR) -> Server:
        """How the operator gets into a runtime's account."""
        own = (await self.keys()).runtime(names).own
        return self._server(own, permissions(names, role), names.inbox(role))

    def _server(self, account: KeyPair, rights: Permissions, inbox: str) -> Server:
        """One user for each account and inbox. The account's own key signs: it lets in also where the account
        is closed to everybody else."""
        which = f"{account.public} {inbox}"
        if which not in self._users:
            user = new_key(USER)
            claims = user_claims(account.public, account.public, user.public, "operator", rights)
            self._users[which] = credentials_file(account.sign(claims), user.seed)
        return Server(self.url, self._users[which], self.authority, inbox)

    # --- accounts -------------------------------------------------------------------------------------

    async def share(self) -> int:
        """Bytes of a server's disk that a runtime may take. Raises NatsUnreachable."""
        await self._system()
        return self._share or self._room[0] // SHARE

    async def set_account(self, owner: StreamOwner, *, replicas: int, is_open: bool = True) -> None:
        """Make sure that the servers have a runtime's accounts, and say what its streams may take.

        Raises NatsUnreachable, AccountRefused, NatsStorageExhausted.
        """
        keys, names = await self.keys(), Names(owner.namespace, owner.name)
        runtime, outside, root = keys.runtime(names), keys.outside(names), keys.operator.public
        async with self._lock:
            disk = await self.share() * replicas
            inside = runtime_account(
                root, runtime.own.public, runtime.signing.public, owner, disk=disk, is_open=is_open
            )
            if not says_the_same(self._known.get(inside["sub"], {}), inside):
                self._check_room(inside)
                await self._push(inside)
            beside = outside_account(
                root, outside.own.public, outside.signing.public, owner, runtime.own.public
            )
            if is_open and not says_the_same(self._known.get(beside["sub"], {}), beside):
                await self._push(beside)

    async def is_open(self, names: Names) -> bool:
        """Whether a runtime's account is there and lets its users in. Raises NatsUnreachable."""
        await self._system()
        known = self._known.get((await self.keys()).runtime(names).own.public, {})
        return bool((known.get("nats") or {}).get("signing_keys"))

    async def delete_account(self, names: Names) -> None:
        """Have the servers forget a runtime's accounts. Raises NatsUnreachable, AccountRefused."""
        keys = await self.keys()
        gone = [keys.outside(names).own.public, keys.runtime(names).own.public]
        async with self._lock:
            connection = await self._system()
            token = keys.operator.sign(deletion_claims(keys.operator.public, gone))
            _accepted(await connection.request("$SYS.REQ.CLAIMS.DELETE", token.encode()))
            for each in gone:
                self._known.pop(each, None)

    async def owners(self) -> list[StreamOwner]:
        """Of all runtimes that have accounts. Raises NatsUnreachable."""
        await self._system()
        found = (owner_in(claims) for claims in self._known.values())
        return [owner for owner in found if owner is not None]

    async def reload(self) -> None:
        """Have every server read its files again: certificates were replaced. Raises NatsUnreachable."""
        connection = await self._system()
        for each in await connection.replies(SERVER_SETTINGS, WITHIN):
            await connection.request(f"$SYS.REQ.SERVER.{each['server']['id']}.RELOAD", b"")

    def _check_room(self, wanted: Claims) -> None:
        """A server that is alone keeps the bytes of an account free, and enables none that doesn't fit."""
        others = sum(disk_of(claims) for key, claims in self._known.items() if key != wanted["sub"])
        _, room = self._room
        if others + disk_of(wanted) > room:
            raise NatsStorageExhausted(
                f"NATS may store {room} bytes, other runtimes may take {others} of them, and this one would "
                f"take {disk_of(wanted)}: expected a larger volume, or less for each runtime"
            )

    async def _push(self, claims: Claims) -> None:
        connection = await self._system()
        token = (await self.keys()).operator.sign(claims)
        _accepted(await connection.request("$SYS.REQ.CLAIMS.UPDATE", token.encode()))
        self._known[claims["sub"]] = claims
        log.info("NATS has the account %s", claims["name"])

    async def _system(self) -> NatsConnection:
        """The connection to the system account, with what the servers say read since it was last made."""
        connection = await self._servers.connection(await self.system_server())
        if self._asked is not connection:
            await self._ask(connection)
            self._asked = connection
            if self._told_by is not connection:
                connection.when_changed(self._doubt)
                self._told_by = connection
        return connection

    def _doubt(self) -> None:
        self._asked = None

    async def _ask(self, connection: NatsConnection) -> None:
        stored = [
            int(config.get("max_storage") or 0)
            for each in await connection.replies(SERVER_SETTINGS, WITHIN)
            if (config := ((each.get("data") or {}).get("jetstream") or {}).get("config"))
        ]
        if not stored:
            raise NatsUnreachable("no server of NATS says what it may store")
        self._room = min(stored), sum(stored)
        listed = _accepted(await connection.request("$SYS.REQ.CLAIMS.LIST", b""))
        self._known = {}
        for account in listed or ():
            answer = await connection.request(f"$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP", b"")
            self._known[account] = claims_of(answer.data.decode())


def _accepted(answer: Any) -> Any:
    """What a server says to a request about claims. Raises AccountRefused."""
    try:
        said = json.loads(answer.data)
    except ValueError:
        said = {}
    if (error := said.get("error")) is not None:
        raise AccountRefused(f"NATS refuses an account: {error.get('description', '')}")
    return said.get("data")
