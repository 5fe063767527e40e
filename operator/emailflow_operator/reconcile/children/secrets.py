"""Which Secrets a runtime's pods need: references are collected from plans and spec, values never seen.

A rotated value is replaced in place by the kubelet; only a new reference changes the pods.
"""

from collections.abc import Iterator
from typing import NamedTuple

from emailflow_api.kinds import EmailRuntime
from emailflow_api.plans import Plans, SecretKey, Smtp
from emailflow_api.pod_settings import SECRETS_FOLDER

NATS_RUNTIME = "emailflow-nats-runtime"
"""In each runtime's namespace: what its pods connect with. Fixed names, for RBAC."""
NATS_PRODUCER = "emailflow-nats-producer"
"""What producers connect with: it may be handed to them."""
NATS_READER = "emailflow-nats-reader"
"""What readers of the log connect with."""
NATS_FORMER = "emailflow-nats"
"""Where earlier versions kept the first two together."""

KEYS_SECRET = "emailflow-keys"  # noqa: S105 - the name of a Secret
"""In each runtime's namespace: keyrings of runtimes that name none, by runtime. A fixed name, for RBAC."""


class Mount(NamedTuple):
    """A Secret to mount; `keys` empty: all of them."""

    secret: str
    keys: tuple[str, ...] = ()


def credentials_key(runtime: str) -> str:
    """The key of a runtime's credentials in each of the three Secrets."""
    return f"{runtime}.creds"


def authority_key(runtime: str) -> str:
    """The key of the certificates to trust, where NATS speaks TLS."""
    return f"{runtime}.ca.crt"


def path_of(secret: str, key: str) -> str:
    """Where a pod finds a value."""
    return f"{SECRETS_FOLDER}/{secret}/{key}"


def mounts_for(runtime: EmailRuntime, plans: Plans | None, *, minted: bool, tls: bool = False) -> list[Mount]:
    """The Secrets of a runtime's pods by name. `minted`: the operator makes their NATS credentials; `tls`:
    and says which certificates to trust."""
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
        keys = (credentials_key(runtime.name), *((authority_key(runtime.name),) if tls else ()))
        made.append(Mount(NATS_RUNTIME, keys))
    return [*(Mount(name) for name in sorted(names - {each.secret for each in made})), *made]


def _keys_in(plans: Plans) -> Iterator[SecretKey]:
    for provider in plans.providers.values():
        if isinstance(provider.transport, Smtp):
            yield from (key for key in (provider.transport.password, provider.transport.ca) if key)
        if provider.dkim is not None:
            yield provider.dkim.key
