"""Asks a runtime's NATS once for each connection whether it is durable, and remembers what it said.

The installation's NATS is asked through the system account; any other as the runtime's own user, whom few
servers answer. What the answers mean is `reconcile.durability`'s.
"""

import logging

from emailflow_api.conditions import Statement
from emailflow_api.jetstream.permissions import SERVER_SETTINGS
from emailflow_operator.adapters.nats_connection import NatsConnection
from emailflow_operator.control.world import World
from emailflow_operator.errors import OperatorError
from emailflow_operator.reconcile.durability import durability

WITHIN = 0.5
"""Seconds to wait for all servers' answers; a user who may not ask hears nothing."""

log = logging.getLogger(__name__)


class Durable:
    """`statement` is what the condition says, None while nobody was asked."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._settled = False
        self._failed = False
        self.statement: Statement | None = None

    def retry(self) -> None:
        """Ask again at the next pass if there was no answer."""
        self._settled = self._settled and not self._failed

    def doubt(self) -> None:
        """Ask again at the next pass: the server may be another one. What it said stands until then."""
        self._settled = False

    async def ask(self, connection: NatsConnection, *, minted: bool) -> None:
        """Ask, if need be. `minted`: it is the installation's NATS."""
        if self._settled:
            return
        self._settled, self._failed = True, False
        try:
            if minted:
                server = await self._world.accounts.system_server()
                connection = await self._world.servers.connection(server)
            self.statement = durability(await connection.replies(SERVER_SETTINGS, WITHIN))
        except OperatorError as error:
            log.info("NATS can't be asked for its settings: %s [%s]", error, error.reason)
            self._failed = True
            self.statement = self.statement or durability(())
