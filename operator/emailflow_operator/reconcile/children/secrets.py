"""Which Secrets a runtime's pods need: references are collected from plans and spec, values never seen.

A rotated value is replaced in place by the kubelet; only a new reference changes the pods.
"""

from collections.abc import Iterator
from typing import NamedTuple

from emailflow_api.kinds import EmailRuntime
from emailflow_api.plans import Plans, SecretKey, Smtp
from emailflow_api.pod_settings import SECRETS_FOLDER

NATS_SECRET = "emailflow-nats"  # noqa: S105 - the name of a Secret
"""In each runtime's namespace: credentials for the NATS of the installation. A fixed name, for RBAC."""

KEYS_SECRET = "emailflow-keys"  # noqa: S105 - the name of a Secret
"""In each runtime's namespace: keyrings of runtimes that name none, by runtime. A fixed name, for RBAC."""


class Mount(NamedTuple):
    """A Secret to mount; `keys` empty: all of them."""

    secret: str
    keys: tuple[str, ...] = ()


def runtime_credentials(runtime: str) -> str:
    """The key in NATS_SECRET of what the runtime's pods connect with."""
    return f"{runtime}.runtime.creds"


def producer_credentials(runtime: str) -> str:
    """The key in NATS_SECRET of what producers connect with."""
    return f"{runtime}.producer.creds"


def path_of(secret: str, key: str) -> str:
    """Where a pod finds a value."""
    return f"{SECRETS_FOLDER}/{secret}/{key}"


def mounts_for(runtime: EmailRuntime, plans: Plans | None, *, minted: bool) -> list[Mount]:
    """The Secrets of a runtime's pods by name. `minted`: the operator makes their NATS credentials."""
    spec = runtime.spec
    references = [
        spec.keys_secret_ref,
        spec.receiver.tokens_secret_ref,
        spec.nats.credentials_secret_ref,
        spec.nats.ca_secret_ref,
    ]
    names = {each.name for each in references if each is not None}
    names |= {key.name for key in _keys_in(plans)} if plans is not None else set()
    # Of the namespace's credentials and keys a pod gets its own only.
    made = [Mount(KEYS_SECRET, (runtime.name,))] if spec.keys_secret_ref is None else []
    if minted:
        made.append(Mount(NATS_SECRET, (runtime_credentials(runtime.name),)))
    return [*(Mount(name) for name in sorted(names - {each.secret for each in made})), *made]


def _keys_in(plans: Plans) -> Iterator[SecretKey]:
    for provider in plans.providers.values():
        if isinstance(provider.transport, Smtp):
            yield from (key for key in (provider.transport.password, provider.transport.ca) if key)
        if provider.dkim is not None:
            yield provider.dkim.key
