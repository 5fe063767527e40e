"""The webhooks as an HTTPS server: `POST /validate`, `POST /inject`, `GET /healthz`.

It judges nothing. What it can't answer is an HTTP error, so that the configuration's `failurePolicy` decides;
the operator checks every object again anyway.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from emailflow_operator.adapters.bounded_server import BoundedServer
from emailflow_operator.admission.lister import Lister
from emailflow_operator.admission.review_frames import Answer
from emailflow_operator.admission.reviewer import Reviewer
from emailflow_operator.admission.serving import Certificates, demand
from emailflow_operator.errors import OperatorError
from emailflow_operator.injection import SidecarSettings

LARGEST_REVIEW = 8 << 20
"""Bytes: a review holds an object twice, and etcd holds objects up to 1.5 MiB."""

log = logging.getLogger(__name__)


class PortInUse(OperatorError):
    """The webhooks' port is taken."""

    reason = "PortInUse"


class AdmissionServer:
    """Serves admission while entered (`async with`). `port` is the one that was chosen.

    `lister` gives the objects known now, or None while they aren't known: then nothing is said of others.
    """

    def __init__(
        self,
        port: int,
        certificates: Certificates,
        lister: Callable[[], Lister | None],
        sidecars: SidecarSettings,
        *,
        host: str | None = None,
        client_ca: Path | None = None,
    ) -> None:
        """`host` None: all addresses. `port` 0: a free one. `client_ca`: certificates (PEM), one of which
        must have signed the client's; None: anybody may ask."""
        self.port = port
        self._host = host
        self._certificates = certificates
        self._client_ca = client_ca
        self._reviewer = Reviewer(lister, sidecars)
        self._following: asyncio.Task[None] | None = None
        app = web.Application(client_max_size=LARGEST_REVIEW)
        app.router.add_post("/validate", self._validate)
        app.router.add_post("/inject", self._inject)
        app.router.add_get("/healthz", self._healthz)
        self._server = BoundedServer(app)

    async def __aenter__(self) -> Self:
        """Listen. Raises PortInUse, InvalidCertificate, and what the certificates raise when there are none
        to begin with."""
        await self._certificates.start()
        if self._client_ca is not None:
            demand(self._certificates.context, self._client_ca)
        try:
            listening = socket.create_server((self._host or "", self.port), **_family(self._host))
        except OSError as error:
            raise PortInUse(f"webhook port: can't listen on {self.port}: {error.strerror}") from error
        await self._server.start(listening, self._certificates.context)
        self.port = listening.getsockname()[1]
        self._following = asyncio.create_task(self._certificates.follow())
        self._following.add_done_callback(_tell)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Answer what is under way, then close."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await self._server.close()
        await self._reviewer.close()

    async def _validate(self, http: web.Request) -> web.Response:
        return _answered(await self._reviewer.answer("validate", http.read))

    async def _inject(self, http: web.Request) -> web.Response:
        return _answered(await self._reviewer.answer("inject", http.read))

    async def _healthz(self, _: web.Request) -> web.Response:
        following = self._following is not None and not self._following.done()
        return web.json_response({"status": "ok" if following else "lost"}, status=200 if following else 500)


def _answered(answer: Answer) -> web.Response:
    headers = {"Retry-After": "1"} if answer.status == 503 else {}
    return web.Response(
        status=answer.status, body=answer.body, content_type="application/json", headers=headers
    )


def _family(host: str | None) -> dict[str, Any]:
    """Both IP versions where the machine has them."""
    if host is None and socket.has_dualstack_ipv6():
        return {"family": socket.AF_INET6, "dualstack_ipv6": True}
    return {}


def _tell(following: asyncio.Task[None]) -> None:
    if not following.cancelled() and (error := following.exception()) is not None:
        log.error("certificates are not followed any more", exc_info=error)
