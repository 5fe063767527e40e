"""The keys of the installation's NATS: made once, kept in one Secret of the operator's namespace.

NATS pods include what stands there for them (`accounts.conf`, the password of routes); seeds are the
operator's alone. The keys of each runtime's accounts are not kept: they follow from one seed and the
runtime's name. A Secret that is there and can't be read stays as it is: new keys would shut everybody out.
"""

import base64
import logging
import secrets
from collections.abc import Mapping
from typing import Any, NamedTuple

from emailflow_api.jetstream.naming import Names
from emailflow_operator.adapters.kubernetes_api import KubernetesApi, path_of
from emailflow_operator.adapters.nats_keys import ACCOUNT, OPERATOR, KeyPair, derived_key, new_key
from emailflow_operator.errors import InvalidCredentials
from emailflow_operator.reconcile.children.labels import FIELD_MANAGER, MANAGED_BY
from emailflow_operator.reconcile.cluster import Object
from emailflow_operator.reconcile.nats_claims import (
    accounts_conf,
    former_account,
    operator_claims,
    system_claims,
)

AUTH_SECRET = "emailflow-nats-auth"  # noqa: S105 - the name of a Secret
CONF = "accounts.conf"
ROUTES = "routes.password"
_SEEDS = {"operator.nk": OPERATOR, "system.nk": ACCOUNT, "accounts.nk": ACCOUNT}
_FORMER = "account.nk"
"""Of the one account that all runtimes had in earlier versions."""

log = logging.getLogger(__name__)


class AccountKeys(NamedTuple):
    """Of one account: `own` is the operator's, `signing` vouches for the users that are handed out."""

    own: KeyPair
    signing: KeyPair


class InstallationKeys:
    """Read from the texts of the Secret. Raises InvalidCredentials."""

    def __init__(self, data: Mapping[str, str]) -> None:
        self.operator = _key("operator.nk", data)
        self.system = _key("system.nk", data)
        self.former = _key(_FORMER, data) if data.get(_FORMER) else None
        self._seed = _key("accounts.nk", data).seed

    def runtime(self, names: Names) -> AccountKeys:
        """Of the account of a runtime's streams."""
        return self._account("runtime", names)

    def outside(self, names: Names) -> AccountKeys:
        """Of the account of its producers and readers."""
        return self._account("outside", names)

    def _account(self, which: str, names: Names) -> AccountKeys:
        about = f"{which} {names.namespace}/{names.name}"
        kinds = (about, f"{about} signing")
        return AccountKeys(*(derived_key(self._seed, ACCOUNT, each) for each in kinds))


async def ensure_keys(api: KubernetesApi, namespace: str) -> tuple[InstallationKeys, str]:
    """The keys, made if there are none, and the Secret's uid.

    Raises KubernetesRefused, KubernetesUnreachable, InvalidCredentials.
    """
    metadata = {"namespace": namespace, "name": AUTH_SECRET}
    there = await api.get(path_of({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}))
    found = decoded(there)
    if not any(key in found for key in _SEEDS):
        found |= {name: new_key(kind).seed for name, kind in _SEEDS.items()}
        log.info("made the keys of the installation's NATS")
    elif CONF not in found and "accounts.nk" not in found:
        found["accounts.nk"] = new_key(ACCOUNT).seed
        log.info("each runtime gets an account of its own in the installation's NATS")
    keys = InstallationKeys(found)
    if there is None or CONF not in found or not found.get(ROUTES):
        found.setdefault(CONF, _conf(keys))
        found[ROUTES] = found.get(ROUTES) or secrets.token_hex(24)
        there = await api.apply(secret(namespace, AUTH_SECRET, found))
    uid: str = there["metadata"]["uid"]
    return keys, uid


def _key(name: str, data: Mapping[str, str]) -> KeyPair:
    try:
        return KeyPair(data.get(name, ""))
    except InvalidCredentials:
        raise InvalidCredentials(f"the key `{name}` of the Secret {AUTH_SECRET} is no nkey seed") from None


def _conf(keys: InstallationKeys) -> str:
    operator, system = keys.operator, keys.system.public
    tokens = {system: operator.sign(system_claims(operator.public, system))}
    if keys.former is not None:
        account = keys.former.public
        tokens[account] = operator.sign(former_account(operator.public, account))
    return accounts_conf(operator.sign(operator_claims(operator.public, system)), system, tokens)


def decoded(there: Object | None) -> dict[str, str]:
    """The texts in a Secret; none where there is no Secret."""
    data: Mapping[str, str] = (there or {}).get("data") or {}
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def secret(namespace: str, name: str, data: Mapping[str, str]) -> Object:
    """The manifest of a Secret of ours."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "labels": {MANAGED_BY: FIELD_MANAGER, "app.kubernetes.io/part-of": "emailflow"},
    }
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": encoded}
