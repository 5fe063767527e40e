"""Certificates of the installation's NATS: made and rotated by the leader as those of the webhooks are, used
for routes and for clients, and trusted by every client through the Secrets of its credentials.
"""

import asyncio
import logging

from emailflow_operator.admission.certificate_secret import CertificateSecret, Place
from emailflow_operator.control.worker import Need
from emailflow_operator.control.workers import Workers
from emailflow_operator.control.world import World
from emailflow_operator.errors import OperatorError

SECRET = "emailflow-nats-tls"  # noqa: S105 - a Secret's name
LOOK_EVERY = 30.0
RELOADS = 10
"""Times that servers are asked to read a new certificate: the kubelet takes minutes to put it there."""

log = logging.getLogger(__name__)


class NatsCertificates:
    """For the installation's NATS; does nothing where it needs none."""

    def __init__(self, world: World) -> None:
        self._world = world
        place = Place(world.options.namespace, frozenset(world.options.nats_names), (), SECRET)
        self._secret = CertificateSecret(world.api, place, lambda: True)
        self._certificate = b""
        self._reloads = 0

    async def ensure(self) -> bool:
        """Make what is due, and say whether clients are to trust something else than before.

        Raises KubernetesRefused, KubernetesUnreachable, InvalidCertificate.
        """
        if not self._world.options.nats_names:
            return False
        material = await self._secret.look()
        if material.certificate != self._certificate:
            self._certificate, self._reloads = material.certificate, RELOADS
        if not self._world.options.nats_tls:
            return False
        before, self._world.accounts.authority = self._world.accounts.authority, material.bundle.decode()
        return before != self._world.accounts.authority

    async def follow(self, workers: Workers) -> None:
        """Go on with it, until cancelled."""
        while self._world.options.nats_names:
            await asyncio.sleep(LOOK_EVERY)
            try:
                if await self.ensure():
                    workers.mark_all(Need.RESYNC)
                if self._reloads:
                    self._reloads -= 1
                    await self._world.accounts.reload()
            except OperatorError as error:
                log.warning("certificates of NATS: %s [%s]", error, error.reason)
        await asyncio.Event().wait()
