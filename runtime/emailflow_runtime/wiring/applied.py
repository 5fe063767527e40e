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

from emailflow_api.errors import Finding
from emailflow_api.jetstream.naming import Names
from emailflow_api.plans import Plans, RuntimePlan
from emailflow_api.plans.carried import let_go, waits_to_leave
from emailflow_api.plans.drained import without_drained
from emailflow_api.reports import of_owners, read_reports
from emailflow_runtime.adapters.jetstream.bucket_tail import BucketTail
from emailflow_runtime.adapters.jetstream.connection import Connection
from emailflow_runtime.adapters.jetstream.epoch import owners
from emailflow_runtime.adapters.jetstream.plan_bucket import PlanBucket
from emailflow_runtime.adapters.jetstream.provision import provision_flows, provision_streams, remove_flow
from emailflow_runtime.adapters.jetstream.timestamps import nanoseconds
from emailflow_runtime.adapters.secrets_in_memory import Held, SecretsInMemory
from emailflow_runtime.errors import EmailFlowError
from emailflow_runtime.wiring.folder import SUFFIXES, Folder, folder_at

RETRY_AFTER = 1.0
LOOK_EVERY = 15.0
"""Seconds between two looks at suspended flows that are gone."""

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
        self._held: Held = {}
        """Secrets."""
        self._applying = asyncio.Lock()

    async def first(self, connection: Connection, *, events_bytes: int) -> Plans:
        """Make everything as the folder says, also the streams. Raises JetStreamError, Unavailable."""
        folder = self._read()
        runtime = folder.compilation.plans.runtime
        await provision_streams(connection, runtime, events_bytes=events_bytes)
        self._plans = await self._bucket(connection, runtime).read()
        plans = self._in_force(folder, await _now(connection, runtime))
        await self._make(connection, plans)
        return plans

    def _read(self) -> Folder:
        """What the folder declares now. Secrets in a file that can't be read stay as they were."""
        folder = folder_at(self._path)
        self._report(folder.findings)
        found = folder.compilation.secrets
        self._held = found if folder.whole else {**self._held, **found}
        self._secrets.replace(self._held)
        return folder

    def _in_force(self, folder: Folder, at: int) -> Plans:
        plans = folder.in_force(self._plans, at)
        # The port may be another one since what is in force was written.
        mine = folder.compilation.plans.runtime.public_url or self._public_url
        return replace(plans, runtime=replace(plans.runtime, public_url=mine))

    def _bucket(self, connection: Connection, runtime: RuntimePlan) -> PlanBucket:
        return PlanBucket(connection, Names(runtime.namespace, runtime.name).bucket("PLANS"))

    async def _make(self, connection: Connection, plans: Plans) -> None:
        """Consumers first, so that a plan never waits for its own; a flow that is gone, last."""
        await provision_flows(connection, plans)
        await self._bucket(connection, plans.runtime).write(plans)
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
                folder = self._read()
                now = await self._now_patiently(connection)
                await self._make_patiently(connection, self._in_force(folder, now))

    async def let_go(self, connection: Connection) -> None:
        """Let those leave who are in suspended flows that have been gone for long enough, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            async with self._applying:
                plans = self._plans
                if plans is None or not any(map(waits_to_leave, plans.flows.values())):
                    continue
                at = await self._now_patiently(connection)
                flows = {
                    name: let_go(flow, at) if flow.deleted else flow for name, flow in plans.flows.items()
                }
                if flows != plans.flows:
                    await self._make_patiently(connection, replace(plans, flows=flows))

    async def _now_patiently(self, connection: Connection) -> int:
        assert self._plans is not None  # noqa: S101 - `first` comes first
        while True:
            try:
                return await _now(connection, self._plans.runtime)
            except EmailFlowError as error:
                log.warning("the time is not known yet: %s", error)
                await asyncio.sleep(RETRY_AFTER)

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


async def _now(connection: Connection, runtime: RuntimePlan) -> int:
    """The time of the store. Raises EmailFlowError."""
    info = await connection.api(f"STREAM.INFO.{Names(runtime.namespace, runtime.name).events}")
    return nanoseconds(info["ts"])


def _is_manifest(_: Change, path: str) -> bool:
    return Path(path).suffix in SUFFIXES
