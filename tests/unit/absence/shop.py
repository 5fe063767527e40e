"""A shard on ports in memory whose plans, policies, providers and Secrets come and go."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from emailflow_api import plans as p
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.buckets import InMemoryConsents
from emailflow_runtime.adapters.in_memory.dead_letters import InMemoryDeadLetters
from emailflow_runtime.adapters.in_memory.event_log import InMemoryEventLog
from emailflow_runtime.adapters.in_memory.feed import InMemoryFeeds
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.mail_transport import InMemoryTransport, Provider
from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Composer
from emailflow_runtime.app.ports import MailTransport
from emailflow_runtime.app.shard import Outside, Shard
from emailflow_runtime.app.stores import LogEntry
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.errors import SecretNotFound

SIGNED_UP, LEFT = "com.example.signed_up", "com.example.left"
ANA, BEN = "ana@example.com", "ben@example.com"
FLOW = "shop_hello"
PROGRAM = p.Program(
    trigger=p.Trigger(types=(SIGNED_UP,)),
    steps=(p.Send(name="hello", next=p.END, template="shop/hello", provider="sink"),),
    exits=(p.Exit(types=(LEFT,)),),
)
REVISION = p.content_hash(PROGRAM)
SINK = p.ProviderPlan(
    namespace="shop",
    name="sink",
    transport=p.Smtp(host="mx.example.com"),
    sender=p.Address("shop@example.com"),
)
PLANS = p.Plans(
    runtime=p.RuntimePlan(namespace="shop", name="default", public_url="https://mail.example.com"),
    flows={"shop/hello": p.FlowPlan(namespace="shop", name="hello", revision=REVISION, policy="offers")},
    programs={REVISION: PROGRAM},
    templates={
        "shop/hello": p.TemplatePlan(namespace="shop", name="hello", subject="Hi", format="html", body="Hi")
    },
    providers={"sink": SINK},
    policies={"offers": p.PolicyPlan(name="offers", topic="offers", consent="OptOut")},
)


def without(plans: p.Plans, **names: str) -> p.Plans:
    """The plans without these: the field, and the key of what is gone from it."""
    gone = {
        field: {key: plan for key, plan in getattr(plans, field).items() if key != name}
        for field, name in names.items()
    }
    return replace(plans, **gone)


def with_flow(plans: p.Plans, **fields: Any) -> p.Plans:
    """The plans, their flow changed."""
    return replace(plans, flows={name: replace(flow, **fields) for name, flow in plans.flows.items()})


class Transports:
    """Every provider is the same one. `secrets`: whether their Secrets are there."""

    def __init__(self, provider: Provider) -> None:
        self.secrets = True
        self._transport = InMemoryTransport(provider)

    def transport(self, provider: p.ProviderPlan) -> MailTransport:
        if not self.secrets:
            raise SecretNotFound(f"Secret {provider.namespace}/smtp with the key password is not there")
        return self._transport

    def signer(self, provider: p.ProviderPlan) -> None:
        return None


class Shop:
    """One shard's outside, and owners of it, one after the other."""

    def __init__(self, plans: p.Plans = PLANS, *, now: int = 1_800_000_000_000_000_000) -> None:
        self.clock = LoopClock(now, zero=asyncio.get_running_loop().time())
        self.broker = Broker(self.clock)
        self.provider = Provider()
        self.transports = Transports(self.provider)
        self.catalog = Catalog(plans)
        self._plans = plans
        self._events = 0

    async def apply(self, plans: p.Plans) -> None:
        """These are the plans from now on."""
        self._plans = plans
        await self.catalog.replace(plans)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Shard]:
        """An owner at work."""
        catalog = self.catalog = Catalog(self._plans)
        await self.broker.provide_flow(FLOW, [SIGNED_UP, LEFT])
        outside = Outside(
            catalog=catalog,
            log=InMemoryEventLog(self.broker),
            feeds=InMemoryFeeds(self.broker),
            dead_letters=InMemoryDeadLetters(self.broker),
            composer=Composer(catalog, InProcessRenderer(), Keyring({"k": b"a key that is long enough"})),
            transports=self.transports,
            consents=InMemoryConsents(self.broker),
        )
        owner = Shard(0, InMemoryStateStore(self.broker.states[0]), outside)
        running = asyncio.create_task(owner.run())
        try:
            await owner.ready.wait()
            yield owner
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def happens(self, kind: str, *addresses: str) -> None:
        """An event of this kind about each of these."""
        for address in addresses:
            self._events += 1
            data = json.dumps({"email": address}).encode()
            event = CloudEvent(
                id=str(self._events), source="/s", type=kind, datacontenttype="application/json", data=data
            )
            self.broker.append(LogEntry(event, contact_key("address", address), 0))

    def sign_up(self, *addresses: str) -> None:
        """Each of these signs up."""
        self.happens(SIGNED_UP, *addresses)

    def unsubscribe(self, address: str, topic: str = "offers") -> None:
        """This address wants no mail about the topic any more."""
        self.broker.say(contact_key("address", address), topic, subscribed=False, at=self.clock.now())

    def subscribe(self, address: str, topic: str = "offers") -> None:
        """This address wants mails about the topic."""
        self.broker.say(contact_key("address", address), topic, subscribed=True, at=self.clock.now())

    @property
    def mailed(self) -> Sequence[str]:
        """Whom the provider has mails for."""
        return [each.recipients[0] for each in self.provider.received]

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What is said in each fact of this kind, `message.failed` say; once, though it may be told again."""
        events = {each.content.event.id: each.content.event for each in self.broker.events.messages}
        return [json.loads(each.data) for each in events.values() if each.type == f"dev.emailflow.{kind}"]

    async def until_told(self, kind: str, times: int = 1) -> list[dict[str, Any]]:
        """The same, once it has been told so often."""
        async with asyncio.timeout(20):
            while len(found := self.told(kind)) < times:  # noqa: ASYNC110 - tells what is, not when
                await asyncio.sleep(0.01)
        return found
