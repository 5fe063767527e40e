"""The Lease that says which operator works (coordination.k8s.io/v1).

As Kubernetes' own components do it: a holder that has not renewed for the lease's duration, by the clock of
whoever watches, has lost it; a holder that can't renew stops earlier than that, by its own clock. Clocks of
different machines are never compared.
"""

import asyncio
import contextlib
import logging
import time
from datetime import UTC, datetime
from typing import Any

from emailflow_operator.adapters.kubernetes_api import KubernetesApi, collection
from emailflow_operator.errors import KubernetesRefused, LeaseLost, OperatorError
from emailflow_operator.reconcile.cluster import Object

NAME = "emailflow-operator"
DURATION = 10
"""Seconds after the last renewal until somebody else may take it."""
RENEW_EVERY = 2.0
GIVE_UP_AFTER = 7.0
"""Seconds without a renewal until the holder stops: before anybody else may begin."""

log = logging.getLogger(__name__)


class Lease:
    """`acquire`, then `hold` until it raises; `release` hands over at once."""

    def __init__(self, api: KubernetesApi, namespace: str, identity: str) -> None:
        self._api = api
        self._namespace = namespace
        self._identity = identity
        self._renewed = 0.0
        self._seen: tuple[Any, ...] = ()
        self._seen_at = 0.0

    async def acquire(self) -> None:
        """Return when it is ours. Waits through refusals and outages."""
        while True:
            try:
                if await self._take():
                    log.info("%s leads", self._identity)
                    return
            except OperatorError as error:
                log.warning("the lease can't be taken: %s", error)
            await asyncio.sleep(RENEW_EVERY)

    async def hold(self) -> None:
        """Renew until cancelled. Raises LeaseLost."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                async with asyncio.timeout(RENEW_EVERY):
                    if not await self._take():
                        raise LeaseLost("another operator leads")
            except (TimeoutError, KubernetesRefused, OperatorError) as error:
                if isinstance(error, LeaseLost):
                    raise
                if time.monotonic() - self._renewed > GIVE_UP_AFTER:
                    raise LeaseLost("the lease could not be renewed in time") from None
                log.warning("the lease is not renewed yet: %s", type(error).__name__)

    async def release(self) -> None:
        """Let somebody else take it at once."""
        with contextlib.suppress(OperatorError, TimeoutError):
            async with asyncio.timeout(RENEW_EVERY):
                there = await self._read()
                spec = (there or {}).get("spec") or {}
                if there is not None and spec.get("holderIdentity") == self._identity:
                    free = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._api.replace({**there, "spec": free})

    async def _read(self) -> Object | None:
        return await self._api.get(f"{collection('coordination.k8s.io/v1', 'Lease', self._namespace)}/{NAME}")

    async def _take(self) -> bool:
        """One try; a conflict means that somebody else was faster."""
        began = time.monotonic()
        there = await self._read()
        spec: dict[str, Any] = (there or {}).get("spec") or {}
        try:
            if there is None:
                await self._api.create(
                    collection("coordination.k8s.io/v1", "Lease", self._namespace), self._lease({})
                )
            elif self._may_take(spec):
                await self._api.replace({**there, "spec": self._lease(spec)["spec"]})
            else:
                return False
        except KubernetesRefused as refused:
            if refused.status == 409:
                return False
            raise
        self._renewed = began
        return True

    def _may_take(self, spec: dict[str, Any]) -> bool:
        holder = spec.get("holderIdentity")
        if holder in {self._identity, "", None}:
            return True
        seen = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, time.monotonic()
        return time.monotonic() - self._seen_at > (spec.get("leaseDurationSeconds") or DURATION)

    def _lease(self, before: dict[str, Any]) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: TID251 - for people only
        mine = before.get("holderIdentity") == self._identity
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION,
            "acquireTime": before.get("acquireTime") if mine else now,
            "renewTime": now,
            "leaseTransitions": (before.get("leaseTransitions") or 0) + (not mine and bool(before)),
        }
        metadata = {"name": NAME, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
