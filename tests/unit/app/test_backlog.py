"""The mails that a shard has to see to: bounded in memory, in order, and no provider in another's way."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from emailflow_api.compile import compile_resources
from emailflow_api.reading import read_documents
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.shard_state import ShardState
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app import backlog as backlog_module
from emailflow_runtime.app.backlog import Backlog
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.needs import Needs
from emailflow_runtime.app.recovery import Recovery
from emailflow_runtime.app.stores import EnrolmentKey, PutRecord
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.commands import SendMail
from emailflow_runtime.core.journey import Journey, Mail, Record

MANIFESTS = """
apiVersion: emailflow.dev/v1alpha1
kind: EmailRuntime
metadata: {{name: default, namespace: shop}}
spec: {{nats: {{url: "nats://localhost"}}, defaults: {{providerRef: {{name: quick}}}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: quick, namespace: shop}}
spec: {{type: Smtp, smtp: {{host: a.example.com}}, from: {{address: a@example.com}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailProvider
metadata: {{name: slow, namespace: shop}}
spec: {{type: Smtp, smtp: {{host: b.example.com}}, from: {{address: a@example.com}}, suspend: {suspend}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailFlow
metadata: {{name: cart, namespace: shop}}
spec:
  trigger: {{types: [com.example.cart.updated]}}
  steps:
    - {{name: quick, send: {{templateRef: {{name: t}}}}}}
    - {{name: slow, send: {{templateRef: {{name: t}}, providerRef: {{name: slow}}}}}}
---
apiVersion: emailflow.dev/v1alpha1
kind: EmailTemplate
metadata: {{name: t, namespace: shop}}
spec: {{subject: s, html: h}}
"""
FLOW = "shop_cart"
EVENT = CloudEvent(id="1", source="/shop", type="com.example.cart.updated")


def plans(*, suspend: bool = False):
    text = MANIFESTS.format(suspend=str(suspend).lower())
    return compile_resources(read_documents(text, "backlog.yaml")).plans


def _nothing(_: object) -> None:
    pass


class Desk:
    """What the backlog uses of the desk."""

    def __init__(self, store: InMemoryStateStore) -> None:
        enrolments = Enrolments(store, most=80_000)
        self.recall, self.known, self.entry = enrolments.load, enrolments.get, enrolments.fetch


class Shop:
    """Somebody who sees to mails until told that they are done."""

    def __init__(self, *, suspend: bool = False) -> None:
        self.clock = LoopClock(1_800_000_000_000_000_000)
        self.store = InMemoryStateStore(ShardState(self.clock))
        self.catalog = Catalog(plans(suspend=suspend))
        self.desk = Desk(self.store)
        recovery = Recovery(self.store, self.desk, self.clock)  # type: ignore[arg-type] # the rest is not its
        self.under_way: dict[str, str] = {}
        self.begun: list[str] = []
        self.most = 0

        def search() -> AsyncIterator[tuple[EnrolmentKey, SendMail, bool]]:
            return recovery.due(lambda mail: mail in self.begun)

        needs = Needs(self.catalog, SimpleNamespace(transport=_nothing, signer=_nothing))
        self.backlog = Backlog(self.desk, needs, self.begin, search)  # type: ignore[arg-type] # as above

    def begin(self, key: EnrolmentKey, mail: str, provider: str) -> bool:
        self.under_way[mail] = provider
        self.begun.append(mail)
        self.most = max(self.most, len(self.under_way))
        return True

    def finish(self, mail: str) -> None:
        self.backlog.done(self.under_way.pop(mail))

    async def ask(self, *mails: str) -> None:
        """Store requests and hand them in. A mail's name begins with its step's."""
        for each in mails:
            step = each.partition("-")[0]
            mail = Mail(id=each, step=step, turn=1, template="shop/t", due=1)
            revision = self.catalog.flows()[FLOW].revision
            journey = Journey(each, FLOW, each, "-", revision, EVENT, 1, 1, step=step, mail=mail)
            await self.store.commit([PutRecord(Record(journey))])
            await self.desk.recall([(FLOW, each)])
            self.backlog.put((FLOW, each), SendMail("-", each))

    async def see_to_all(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.begun) < count or self.under_way:
                for mail in list(self.under_way):
                    self.finish(mail)
                await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for name, value in {"PLACES": 4, "AT_ONCE": 2, "NAMES": 6}.items():
        monkeypatch.setattr(backlog_module, name, value)


async def started(**options: bool) -> Shop:
    shop = Shop(**options)
    await shop.store.claim()
    return shop


def names(step: str, count: int) -> list[str]:
    return [f"{step}-{number:02}" for number in range(count)]


async def test_mails_are_seen_to_in_order_and_few_at_a_time():
    shop = await started()

    await shop.ask(*names("quick", 10))
    await shop.see_to_all(10)

    assert shop.begun == names("quick", 10)
    assert shop.most <= 4


async def test_those_that_memory_has_no_room_for_are_read_from_state_in_order():
    shop = await started()

    await shop.ask(*names("quick", 40))
    await shop.see_to_all(40)

    assert shop.begun == names("quick", 40)
    assert shop.most <= 4


async def test_a_provider_that_is_slow_is_in_nobody_elses_way():
    shop = await started()

    await shop.ask(*names("slow", 40), *names("quick", 3))

    assert [mail for mail in shop.begun if mail.startswith("quick")] == names("quick", 3)


async def test_mails_of_a_suspended_provider_wait_until_it_is_released():
    shop = await started(suspend=True)
    await shop.ask(*names("slow", 40), *names("quick", 3))
    assert shop.begun == names("quick", 3)

    await shop.catalog.replace(plans())
    await shop.see_to_all(43)

    assert sorted(shop.begun) == sorted(names("slow", 40) + names("quick", 3))
    assert len(shop.begun) == len(set(shop.begun))


async def test_nothing_is_begun_once_it_is_stopped():
    shop = await started()
    await shop.ask(*names("quick", 10))

    shop.backlog.stop()
    for mail in list(shop.under_way):
        shop.finish(mail)
    await asyncio.sleep(0)

    assert shop.begun == names("quick", 4)
