"""A folder as it is applied: for `emailflow dev` it does what the operator does in a cluster.

JetStream and PLANS are made equal to what the folder declares, at the start and after each change; flows
that are gone leave once nobody is in them any more. What a flow does is nothing to it.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace
from watchfiles import Change, awatch

from emailflow_api.errors import Finding, Severity
from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import Plans
from emailflow_api.plans.carried import carry_over
from emailflow_api.plans.drained import without_drained
from emailflow_api.reports import of_owners, read_reports
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection
from emailflow_runtime.adapters.jetstream.epoch import owners
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows, provision_streams, remove_flow
from emailflow_runtime.adapters.secrets_in_memory import SecretsInMemory
from emailflow_runtime.errors import EmailFlowError
from emailflow_runtime.wiring.folder import SUFFIXES, compile_folder

RETRY_AFTER = 1.0

log = logging.getLogger(__name__)


class Applied:
    """`report` gets the findings of every reading; `public_url` holds where the runtime names none."""

    def __init__(
        self,
        path: Path,
        report: Callable[[list[Finding]], None],
        secrets: SecretsInMemory,
        public_url: str,
    ) -> None:
        self._path = path
        self._report = report
        self._secrets = secrets
        self._public_url = public_url
        self._plans: Plans | None = None
        self._applying = asyncio.Lock()

    async def first(self, connection: Connection, *, events_bytes: int) -> Plans:
        """Make everything as the folder says, also the streams. Raises JetStreamError, Unavailable."""
        plans = self._read()
        await provision_streams(connection, plans.runtime, events_bytes=events_bytes)
        before = await self._bucket(connection, plans).read()
        plans = carry_over(before, plans, ()) if before is not None else plans
        await self._make(connection, plans)
        return plans

    def _read(self) -> Plans:
        """What the folder declares now, completed by what stays in force."""
        compilation, findings = compile_folder(self._path)
        self._report(findings)
        self._secrets.replace(compilation.secrets)
        broken = {each.subject for each in findings if each.severity is Severity.ERROR}
        plans = carry_over(self._plans, compilation.plans, broken)
        if not plans.runtime.public_url:
            plans = replace(plans, runtime=replace(plans.runtime, public_url=self._public_url))
        return plans

    def _bucket(self, connection: Connection, plans: Plans) -> PlanBucket:
        return PlanBucket(connection, Names(plans.runtime.namespace, plans.runtime.name).bucket("PLANS"))

    async def _make(self, connection: Connection, plans: Plans) -> None:
        """Consumers first, so that a plan never waits for its own; a flow that is gone, last."""
        await provision_flows(connection, plans)
        await self._bucket(connection, plans).write(plans)
        before = self._plans.flows if self._plans is not None else {}
        self._plans = plans
        for name in before.keys() - plans.flows.keys():
            await remove_flow(connection, plans.runtime, before[name].id)

    async def follow_folder(self, connection: Connection) -> None:
        """Apply every change of the folder, until cancelled."""
        # An editor replaces a file, so its folder is watched; the state may live below it.
        watched = self._path if self._path.is_dir() else self._path.parent
        async for _ in awatch(watched, watch_filter=_is_manifest, debounce=100, step=50):
            async with self._applying:
                await self._make_patiently(connection, self._read())

    async def _make_patiently(self, connection: Connection, plans: Plans) -> None:
        while True:
            try:
                await self._make(connection, plans)
                return
            except EmailFlowError as error:
                log.warning("the change is not applied yet: %s", error)
                await asyncio.sleep(RETRY_AFTER)

    async def remove_drained(self, connection: Connection) -> None:
        """Take away what nobody is in any more, as REPORTS tells, until cancelled."""
        assert self._plans is not None  # noqa: S101 - `first` comes first
        runtime = self._plans.runtime
        names = Names(runtime.namespace, runtime.name)
        tail = BucketTail(connection, names.bucket("REPORTS"))
        await tail.start_when_there()
        while True:
            async with self._applying:
                reports = read_reports(tail.values)
                if without_drained(self._plans, reports) != self._plans:
                    # Only now: it is for good, so it has to be the owner's word.
                    shards = await owners(connection, names, runtime.shards)
                    left = without_drained(self._plans, of_owners(reports, shards))
                    await self._make_patiently(connection, left)
            await tail.changed()


def _is_manifest(_: Change, path: str) -> bool:
    return Path(path).suffix in SUFFIXES
