"""Who signs the cluster's ServiceAccount tokens: from the API server's discovery (OpenID Connect)."""

import json
import logging

from emailflow_operator.control.world import World
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile import reasons
from emailflow_operator.reconcile.children.settings import Issuer

log = logging.getLogger(__name__)


async def read_issuer(world: World) -> None:
    """Note the issuer and its keys, or why they can't be read: what was known stays in force then.

    Receivers that know no issuer take no ServiceAccount tokens; the condition ReceiverClosed tells. Raises
    KubernetesUnreachable.
    """
    try:
        discovered = await world.api.get("/.well-known/openid-configuration")
        keys = await world.api.get("/openid/v1/jwks")
    except KubernetesRefused as refused:
        world.issuer = _unreadable(world.issuer, str(refused))
        return
    if discovered and discovered.get("issuer") and keys and keys.get("keys"):
        world.issuer = Issuer(discovered["issuer"], json.dumps(keys, sort_keys=True))
    else:
        world.issuer = _unreadable(world.issuer, "the API server names no issuer, or no keys")


def _unreadable(before: Issuer, why: str) -> Issuer:
    if before.trouble != why:
        log.warning("the cluster's token issuer can't be read: %s [%s]", why, reasons.ISSUER_UNREADABLE)
    return before._replace(trouble=why)
