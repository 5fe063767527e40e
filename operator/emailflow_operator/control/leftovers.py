"""Streams of EmailRuntimes that were deleted with `deletionPolicy: Delete` while no operator looked.

Only the installation's NATS is searched: its streams say whose they are. They are handed to the worker of
their runtime, which makes sure once more and deletes them in turn with everything else that it does.
"""

import logging

from emailflow_api.jetstream.ownership import owner_of
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import World
from emailflow_operator.reconcile.scope import RuntimeKey

log = logging.getLogger(__name__)


async def find_leftovers(world: World, workers: Workers) -> None:
    """Look once. Raises NatsUnreachable, JetStreamRefused, KubernetesRefused, KubernetesUnreachable."""
    options = world.options
    if not options.nats_url:
        return
    accounts = world.accounts
    connection = await world.servers.connection(await accounts.inventory_server(options.nats_url))
    installation = await accounts.installation()
    found: dict[RuntimeKey, list[str]] = {}
    for config in await connection.streams():
        owner = owner_of(config)
        if owner is None or owner.installation != installation or owner.deletion_policy != "Delete":
            continue
        key = owner.namespace, owner.name
        watched = not options.watched or owner.namespace in options.watched
        if watched and world.cluster.get("EmailRuntime", *key) is None:
            found.setdefault(key, []).append(config["name"])
    for key, names in found.items():
        log.info("%s/%s: has left %d streams to delete", *key, len(names))
        workers.clear_away(key, names)
