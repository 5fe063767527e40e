"""Who signs the cluster's ServiceAccount tokens: from the API server's discovery (OpenID Connect)."""

import json
import logging

from emailflow_operator.control.world import World
from emailflow_operator.errors import KubernetesRefused
from emailflow_operator.reconcile.children.settings import Issuer

log = logging.getLogger(__name__)


async def read_issuer(world: World) -> None:
    """Note the issuer and its keys. Where they may not be read, receivers take no such tokens.

    Raises KubernetesUnreachable.
    """
    try:
        discovered = await world.api.get("/.well-known/openid-configuration")
        keys = await world.api.get("/openid/v1/jwks")
    except KubernetesRefused as refused:
        log.warning(
            "the cluster's token issuer can't be read: receivers take no ServiceAccount tokens: %s",
            refused,
        )
        return
    if discovered and keys and keys.get("keys"):
        world.issuer = Issuer(discovered["issuer"], json.dumps(keys, sort_keys=True))
