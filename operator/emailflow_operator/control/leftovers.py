"""Streams of EmailRuntimes that were deleted with `deletionPolicy: Delete` while no operator looked.

Only the installation's NATS is searched: each account there says whose it is and what was wanted, and so does
each stream of earlier versions. They are handed to the worker of their runtime, which makes sure once more
and deletes them in turn with everything else that it does.
"""

import logging

from emailflow_api.jetstream.ownership import StreamOwner, owner_of
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import World

log = logging.getLogger(__name__)


async def find_leftovers(world: World, workers: Workers) -> None:
    """Look once. Raises NatsUnreachable, JetStreamRefused, KubernetesRefused, KubernetesUnreachable."""
    options = world.options
    if not options.nats_url:
        return
    owners = [*await world.accounts.owners(), *await _former(world)]
    for key in {(each.namespace, each.name) for each in owners if each.deletion_policy == "Delete"}:
        watched = not options.watched or key[0] in options.watched
        if watched and world.cluster.get("EmailRuntime", *key) is None:
            log.info("%s/%s: has left streams to delete", *key)
            workers.clear_away(key)


async def _former(world: World) -> list[StreamOwner]:
    """The owners of what is still in the one account of earlier versions."""
    server = await world.accounts.former_server()
    if server is None:
        return []
    connection = await world.servers.connection(server)
    installation = await world.accounts.installation()
    found = (owner_of(config) for config in await connection.streams())
    return [each for each in found if each is not None and each.installation == installation]
