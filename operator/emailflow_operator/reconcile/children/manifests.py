"""All children of one EmailRuntime together, and whether a live object already says what is wanted."""

from collections.abc import Mapping
from typing import Any

from emailflow_api.kinds import EmailRuntime
from emailflow_api.plans import Plans
from emailflow_operator.reconcile.children.deployment import deployment
from emailflow_operator.reconcile.children.secrets import mounts_for
from emailflow_operator.reconcile.children.settings import Image, Issuer, config_map, settings_text
from emailflow_operator.reconcile.children.surroundings import surroundings
from emailflow_operator.reconcile.cluster import Object


def children_of(
    owner: Object,
    plans: Plans | None,
    *,
    image: Image,
    nats_url: str,
    issuer: Issuer,
    minted: bool,
    tls: bool = False,
) -> list[Object]:
    """The manifests for a raw EmailRuntime that is valid, in the order in which they are to be applied."""
    runtime = EmailRuntime.model_validate(
        {key: owner[key] for key in ("apiVersion", "kind", "metadata", "spec")}
    )
    settings = settings_text(runtime, nats_url, issuer, minted=minted, tls=tls)
    mounts = mounts_for(runtime, plans, minted=minted, tls=tls)
    return [
        config_map(owner, settings, issuer if runtime.spec.receiver.service_accounts else Issuer()),
        *surroundings(owner),
        deployment(owner, runtime, image, settings, mounts),
    ]


def says(live: Any, wanted: Any) -> bool:
    """Whether the live value says all that is wanted. What others or the server have added is theirs."""
    if isinstance(wanted, Mapping):
        return isinstance(live, Mapping) and all(says(live.get(key), item) for key, item in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(live, list)
            and len(live) == len(wanted)
            and all(says(one, other) for one, other in zip(live, wanted, strict=True))
        )
    if isinstance(wanted, dict | str | int | bool):
        return bool(live == wanted)
    return live is None and wanted is None
