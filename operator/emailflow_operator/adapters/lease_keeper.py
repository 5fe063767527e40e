"""The Lease on a thread of its own, with an event loop and a client of its own: whatever the operator is busy
with, the Lease is renewed in time.

The other way round, a leader whose event loop is held up must not go on when it is let go: when the Lease
is lost and the loop does not take notice, the process ends where it stands.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from emailflow_operator.adapters.kubernetes_access import Access
from emailflow_operator.adapters.kubernetes_api import KubernetesApi
from emailflow_operator.adapters.lease import DURATION, GIVE_UP_AFTER, Lease
from emailflow_operator.errors import LeaseLost, OperatorError

TAKE_NOTICE_WITHIN = (DURATION - GIVE_UP_AFTER) / 2
"""Seconds for the event loop to take notice of the loss: well before anybody else may begin."""
END_WITHIN = 5.0
"""Seconds for the thread to hand the Lease over and end."""

log = logging.getLogger(__name__)


def _end_process() -> None:
    os._exit(1)


class LeaseKeeper:
    """`acquire`, then `hold` until it raises; `release` hands over and ends the thread. Once each."""

    def __init__(
        self, access: Access, namespace: str, identity: str, *, end: Callable[[], None] = _end_process
    ) -> None:
        """`end` ends the process at once."""
        self._namespace = namespace
        self._identity = identity
        self._access = access
        self._end = end
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._noticed = threading.Event()
        self._owner = asyncio.get_running_loop()
        self._acquired: asyncio.Future[None] = self._owner.create_future()
        self._lost: asyncio.Future[None] = self._owner.create_future()

    async def acquire(self) -> None:
        """Return when it is ours. Waits through refusals and outages. Raises InvalidAccess."""
        self._thread.start()
        await asyncio.shield(self._acquired)

    async def hold(self) -> None:
        """Wait until it is lost, or until cancelled. Raises LeaseLost."""
        try:
            await asyncio.shield(self._lost)
        finally:
            self._noticed.set()

    async def release(self) -> None:
        """Let somebody else take it at once, and end the thread."""
        self._noticed.set()
        for each in (self._acquired, self._lost):
            each.cancel()
        if (loop := self._loop) is not None:
            try:
                loop.call_soon_threadsafe(self._stop.set)
            except RuntimeError:
                return  # it has ended
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, END_WITHIN)

    # --- on the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._keep())
        except OperatorError as error:
            self._tell_loss(error)
        except Exception:
            log.exception("the lease is not kept any more")
            self._tell_loss(LeaseLost("the lease is not kept any more"))

    async def _keep(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with KubernetesApi(self._access) as api:
            lease = Lease(api, self._namespace, self._identity)
            if await self._unless_stopped(lease.acquire()):
                self._on_owner(self._acquired, None)
                await self._unless_stopped(lease.hold())
                await lease.release()

    async def _unless_stopped(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether the work came to its end before it was to stop. Raises what it raises."""
        working, stopping = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
            return working.done()
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    def _tell_loss(self, error: OperatorError) -> None:
        self._on_owner(self._acquired, error)
        self._on_owner(self._lost, error)
        if not self._noticed.wait(TAKE_NOTICE_WITHIN):
            log.error("the lease is lost while the operator is held up: the process ends [LeaseLost]")
            self._end()

    def _on_owner(self, future: "asyncio.Future[None]", error: OperatorError | None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
                future.exception()  # whoever waits is told; nobody has to

        try:
            self._owner.call_soon_threadsafe(settle)
        except RuntimeError:
            return  # the loop has ended, and the process with it
