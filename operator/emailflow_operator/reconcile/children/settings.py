"""The ConfigMap of a runtime's pods: settings and, for ServiceAccount tokens, the cluster's keys.

The shape of the settings is emailflow_api's; what stands in them is decided here.
"""

from typing import NamedTuple

from emailflow_api.kinds import EmailRuntime
from emailflow_api.kinds.reference import SecretKeyReference
from emailflow_api.pod_settings import JWKS_FILE, SETTINGS_FILE, PodSettings, encode
from emailflow_operator.reconcile.children.labels import metadata
from emailflow_operator.reconcile.children.secrets import (
    KEYS_SECRET,
    NATS_RUNTIME,
    authority_key,
    credentials_key,
    path_of,
)
from emailflow_operator.reconcile.cluster import Object

SETTINGS_KEY = SETTINGS_FILE.rpartition("/")[2]
JWKS_KEY = JWKS_FILE.rpartition("/")[2]


class Image(NamedTuple):
    """What runtime pods run."""

    name: str
    pull_policy: str = ""
    pull_secrets: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    """Name and value of variables, OTEL_… only: a runtime reads no others."""


class Issuer(NamedTuple):
    """Who signs the cluster's ServiceAccount tokens, and its keys as a JWKS text; empty: not known."""

    url: str = ""
    jwks: str = ""
    trouble: str = ""
    """Why it could not be read the last time; empty: it could, or was not tried yet."""


def settings_text(
    runtime: EmailRuntime, nats_url: str, issuer: Issuer, *, minted: bool, tls: bool = False
) -> str:
    """runtime.json. `minted`: the credentials are in the Secret that the operator makes; `tls`: so is whom to
    trust."""
    spec = runtime.spec
    credentials, authority = _path(spec.nats.credentials_secret_ref), _path(spec.nats.ca_secret_ref)
    if minted:
        credentials = path_of(NATS_RUNTIME, credentials_key(runtime.name))
        authority = path_of(NATS_RUNTIME, authority_key(runtime.name)) if tls else ""
    trusted = bool(issuer.url and issuer.jwks and spec.receiver.service_accounts)
    settings = PodSettings(
        namespace=runtime.namespace,
        name=runtime.name,
        shards=spec.shards or 1,
        nats_url=nats_url,
        nats_credentials=credentials,
        nats_ca=authority,
        keyring=_path(spec.keys_secret_ref) or path_of(KEYS_SECRET, runtime.name),
        tokens=_path(spec.receiver.tokens_secret_ref),
        issuer=issuer.url if trusted else "",
        jwks=JWKS_FILE if trusted else "",
        anonymous=spec.receiver.anonymous,
    )
    return encode(settings).decode()


def config_map(owner: Object, settings: str, issuer: Issuer) -> Object:
    """The manifest."""
    data = {SETTINGS_KEY: settings}
    if issuer.jwks:
        data[JWKS_KEY] = issuer.jwks
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(owner), "data": data}


def _path(reference: SecretKeyReference | None) -> str:
    return path_of(reference.name, reference.key) if reference else ""
