"""The KV buckets in memory: ALIASES, CONSENT, PLANS, each as one process sees it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

from emailflow_api.plans import Plans
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.core.consent import Consent


class InMemoryAliases:
    """The port Aliases."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def lookup(self, identifiers: Iterable[str]) -> Mapping[str, str]:
        """See Aliases."""
        wanted = list(identifiers)
        await asyncio.sleep(0)
        known = self._broker.aliases
        return {each: known[each] for each in wanted if each in known}

    async def claim(self, wanted: Mapping[str, str]) -> Mapping[str, str]:
        """See Aliases."""
        await asyncio.sleep(0)
        return {each: self._broker.aliases.setdefault(each, key) for each, key in wanted.items()}


class InMemoryConsents:
    """The port Consents."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def of(self, address: str) -> Consent:
        """See Consents."""
        return Consent(dict(self._broker.consents.get(address, {})))

    async def catch_up(self) -> None:
        """See Consents."""
        await asyncio.sleep(0)

    async def put(self, address: str, topic: str, *, subscribed: bool, at: int, event: int = 0) -> None:
        """See Consents."""
        await asyncio.sleep(0)
        self._broker.say(address, topic, subscribed=subscribed, at=at, event=event)


class InMemoryPlans:
    """The port PlanSource, and what writes to it."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def write(self, plans: Plans) -> None:
        """Put these in force."""
        async with self._broker.changed:
            self._broker.plans.append(plans)
            self._broker.changed.notify_all()

    async def snapshots(self) -> AsyncIterator[Plans]:
        """See PlanSource."""
        plans, seen = self._broker.plans, 0
        while True:
            async with self._broker.changed:
                while len(plans) == seen:
                    await self._broker.changed.wait()
            seen = len(plans)
            yield plans[-1]
