"""The webhooks as an HTTPS server: `POST /validate`, `POST /inject`, `GET /healthz`.

It judges nothing. What it can't answer is an HTTP error, so that the configuration's `failurePolicy` decides;
the operator checks every object again anyway.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from aiohttp import web

from emailflow_operator.admission.judgement import Lister
from emailflow_operator.admission.review import InvalidReview, Request, inject, read_request, validate
from emailflow_operator.admission.serving import Certificates
from emailflow_operator.errors import OperatorError
from emailflow_operator.injection import Injector, SidecarSettings

LARGEST_REVIEW = 8 << 20
"""Bytes: a review holds an object twice, and etcd holds objects up to 1.5 MiB."""
STOP_WITHIN = 2.0

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
    ) -> None:
        """`host` None: all addresses. `port` 0: a free one."""
        self.port = port
        self._host = host
        self._certificates = certificates
        self._lister = lister
        self._injector = Injector(sidecars)
        self._following: asyncio.Task[None] | None = None
        app = web.Application(client_max_size=LARGEST_REVIEW)
        app.router.add_post("/validate", self._validate)
        app.router.add_post("/inject", self._inject)
        app.router.add_get("/healthz", self._healthz)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_WITHIN)

    async def __aenter__(self) -> Self:
        """Listen. Raises PortInUse, and what the certificates raise when there are none to begin with."""
        await self._certificates.start()
        await self._runner.setup()
        try:
            listening = socket.create_server((self._host or "", self.port), **_family(self._host))
        except OSError as error:
            await self._runner.cleanup()
            raise PortInUse(f"webhook port: can't listen on {self.port}: {error.strerror}") from error
        await web.SockSite(self._runner, listening, ssl_context=self._certificates.context).start()
        self.port = listening.getsockname()[1]
        self._following = asyncio.create_task(self._certificates.follow())
        self._following.add_done_callback(_tell)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Answer what is under way, then close, also connections that the API server keeps for later."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        connections = self._runner.server.connections if self._runner.server else []
        transports = [each.transport for each in connections]
        await self._runner.cleanup()
        for each in transports:
            if each is not None:
                each.abort()  # The other side may take its time to say goodbye in TLS.
        await asyncio.sleep(0)

    async def _validate(self, http: web.Request) -> web.Response:
        return await _answered(http, lambda request: validate(request, self._lister()))

    async def _inject(self, http: web.Request) -> web.Response:
        return await _answered(http, lambda request: inject(request, self._injector, self._lister()))

    async def _healthz(self, _: web.Request) -> web.Response:
        following = self._following is not None and not self._following.done()
        return web.json_response({"status": "ok" if following else "lost"}, status=200 if following else 500)


async def _answered(http: web.Request, answer: Callable[[Request], dict[str, Any]]) -> web.Response:
    try:
        return web.json_response(answer(read_request(await http.read())))
    except InvalidReview as error:
        return web.json_response({"reason": error.reason, "message": str(error)}, status=400)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("A review can't be answered")
        return web.json_response({"reason": OperatorError.reason}, status=500)


def _family(host: str | None) -> dict[str, Any]:
    """Both IP versions where the machine has them."""
    if host is None and socket.has_dualstack_ipv6():
        return {"family": socket.AF_INET6, "dualstack_ipv6": True}
    return {}


def _tell(following: asyncio.Task[None]) -> None:
    if not following.cancelled() and (error := following.exception()) is not None:
        log.error("certificates are not followed any more", exc_info=error)
