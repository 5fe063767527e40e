"""Watches over the providers of a runtime: are their Secrets there, and do they take connections?

The owner of shard 0 looks and writes what it finds into REPORTS, for the EmailProviders' status: the operator
reads no Secret and opens no connection to a provider. A mail never waits for a report.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from emailflow_api.plans import ProviderPlan, content_hash
from emailflow_api.reports import ProviderReport
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.lanes import Lanes
from emailflow_runtime.app.ports import MailTransport
from emailflow_runtime.errors import EmailFlowError, Unavailable

LOOK_EVERY = 5.0
"""Seconds between looks at what costs nothing: Secrets, circuit breakers, changed plans."""
CHECK_EVERY = 300.0
"""Seconds between connections to a provider that is well."""
CHECK_AGAIN = 15.0
"""Seconds after a check that failed."""
CHECK_WITHIN = 10.0
"""Seconds that a check may take."""
DOWN_FOR = 15.0
"""Seconds that its circuit has to be open: one that asks for a short pause is well."""
FAILURES = 2
"""Checks that have to fail, one after the other, before the provider counts as out of reach."""

log = logging.getLogger(__name__)


class ProviderReports(Protocol):
    """REPORTS, as far as providers are concerned. Both methods raise Unavailable."""

    async def read_providers(self) -> Mapping[str, ProviderReport]:
        """What was written: provider -> report."""

    async def write_providers(self, reports: Mapping[str, ProviderReport | None]) -> None:
        """Write these (None: remove it); return when they are on disk."""


class Ways(Protocol):
    """How providers are reached."""

    def transport(self, provider: ProviderPlan) -> MailTransport:
        """The transport of a provider as it is declared now. Raises EmailFlowError."""

    def signer(self, provider: ProviderPlan) -> object:
        """Its DKIM signer, if it has one. Raises EmailFlowError."""


class Trouble(NamedTuple):
    """Why a provider can't be used: a reason and a sentence. Empty: it can."""

    reason: str = ""
    message: str = ""


_FINE = Trouble()


class _Checked:
    """What checks of one plan of a provider came to."""

    def __init__(self, plan: ProviderPlan) -> None:
        self.plan = plan
        self.trouble: Trouble | None = None
        """None: not known yet."""
        self.next_at = 0.0
        self.failures = 0
        self.down_since: float | None = None


class ProviderWatch:
    """One for each process. `in_charge`: whether this one looks after the providers now."""

    def __init__(
        self,
        catalog: Catalog,
        ways: Ways,
        lanes: Lanes,
        reports: ProviderReports,
        in_charge: Callable[[], bool],
    ) -> None:
        self._catalog = catalog
        self._ways = ways
        self._lanes = lanes
        self._reports = reports
        self._in_charge = in_charge
        self._checked: dict[str, _Checked] = {}
        self._written: dict[str, ProviderReport] | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            plans = self._catalog.plans
            try:
                await self._look()
            except Unavailable as away:
                self._written = None
                log.info("reports of providers have to wait: %s", away)
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._catalog.differ_from(plans)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        if not self._in_charge():
            self._written = None
            return
        providers = self._catalog.plans.providers
        for name in self._checked.keys() - providers.keys():
            del self._checked[name]
        await asyncio.gather(*(self._judge(provider) for provider in providers.values()))
        await self._write(
            {
                name: ProviderReport(content_hash(each.plan), *each.trouble)
                for name, each in self._checked.items()
                if each.trouble is not None
            }
        )

    async def _write(self, reports: Mapping[str, ProviderReport]) -> None:
        """Write what differs from what was written before, by this process or by another one."""
        if self._written is None:
            self._written = dict(await self._reports.read_providers())
        changes: dict[str, ProviderReport | None] = {
            name: report for name, report in reports.items() if self._written.get(name) != report
        }
        changes.update(dict.fromkeys(self._written.keys() - self._catalog.plans.providers.keys()))
        if not changes:
            return
        await self._reports.write_providers(changes)
        for name, report in changes.items():
            if report is None:
                self._written.pop(name, None)
                continue
            if report.reason:
                log.warning("provider %s can't be used: %s", name, report.reason)
            elif name in self._written and self._written[name].reason:
                log.warning("provider %s can be used again", name)
            self._written[name] = report

    async def _judge(self, provider: ProviderPlan) -> None:
        checked = self._checked.get(provider.name)
        if checked is None or checked.plan != provider:
            checked = self._checked[provider.name] = _Checked(provider)
        try:
            transport = self._ways.transport(provider)
            self._ways.signer(provider)
        except EmailFlowError as error:
            checked.trouble, checked.next_at = Trouble(error.reason, str(error)), 0.0
            return
        lane = self._lanes.to(provider)
        if lane.down:
            # Mails have found out already, and find out when it is back.
            checked.next_at = 0.0
            checked.down_since = checked.down_since or _now()
            if _now() - checked.down_since >= DOWN_FOR or checked.trouble is None:
                checked.trouble = Trouble(lane.trouble, "mails to it failed one after the other")
            return
        checked.down_since = None
        if checked.trouble is not None and _now() < checked.next_at:
            return
        await self._check(checked, transport)

    async def _check(self, checked: _Checked, transport: MailTransport) -> None:
        """Connect, and believe a failure when it comes again."""
        failed = await transport.check(give_up_at=_now() + CHECK_WITHIN)
        if failed is None:
            checked.trouble, checked.failures, checked.next_at = _FINE, 0, _now() + CHECK_EVERY
            return
        checked.failures += 1
        checked.next_at = _now() + CHECK_AGAIN
        if checked.failures >= FAILURES or checked.trouble is None:
            checked.trouble = Trouble(failed.reason, failed.reply or failed.reason)


def _now() -> float:
    return asyncio.get_running_loop().time()
