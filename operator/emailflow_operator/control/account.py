"""The users of the installation's NATS: made once, kept in Secrets, made anew when their rights change."""

from typing import Protocol

from emailflow_operator.adapters.nats_connection import Server
from emailflow_operator.reconcile.cluster import Object


class Accounts(Protocol):
    """Comes with the installation's NATS."""

    async def operator_server(self, url: str) -> Server:
        """How the operator itself gets in."""

    async def ensure_users(self, owner: Object) -> None:
        """Make sure that a runtime's pods and producers have credentials."""
