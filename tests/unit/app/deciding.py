"""A desk and what is around it, over STATE and EVENTS in memory: for tests of what it stores and keeps."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from emailflow_api import plans as p
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.dead_letters import InMemoryDeadLetters
from emailflow_runtime.adapters.in_memory.event_log import InMemoryEventLog
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.adapters.in_memory.state_store import InMemoryStateStore
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.census import Census
from emailflow_runtime.app.contacts import Contacts
from emailflow_runtime.app.desk import Desk
from emailflow_runtime.app.enrolments import Enrolments
from emailflow_runtime.app.relay import Relay
from emailflow_runtime.app.stores import Change, PutRecord
from emailflow_runtime.app.writer import Writer
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.inputs import EventArrived
from emailflow_runtime.core.journey import encode_record

KIND, LEFT = "com.example.cart.updated", "com.example.left"
FLOW, ANA = "shop_cart", "a" * 32
KEY = (FLOW, ANA)
NOW = 1_800_000_000_000_000_000
HOUR = p.Wait(name="rest", next=p.END, duration="PT1H")


class Store(InMemoryStateStore):
    """Remembers what was committed together."""

    def __init__(self, state: Any) -> None:
        super().__init__(state)
        self.commits: list[list[Change]] = []
        self.sizes: list[int] = []

    async def commit(self, changes: Sequence[Change]) -> int:
        self.commits.append(list(changes))
        self.sizes += [len(encode_record(each.record)) for each in changes if isinstance(each, PutRecord)]
        return await super().commit(changes)


class Deciding:
    """One owner after the other; each has a desk of its own and finds what the one before has stored."""

    def __init__(
        self, *steps: p.Step, reentry: Any = "AfterExit", key: str = "", largest: int = 8 << 20
    ) -> None:
        program = p.Program(
            trigger=p.Trigger(types=(KIND,), key=key),
            exits=(p.Exit(types=(LEFT,)),),
            steps=steps or (HOUR,),
        )
        revision = p.content_hash(program)
        flow = p.FlowPlan(namespace="shop", name="cart", revision=revision, reentry=reentry)
        runtime = p.RuntimePlan(namespace="shop", name="default")
        self.catalog = Catalog(p.Plans(runtime, flows={"shop/cart": flow}, programs={revision: program}))
        self.clock = LoopClock(NOW)
        self.broker = Broker(self.clock)
        self.broker.largest = largest
        self.stored: list[int] = []
        """Bytes of each record that was stored."""
        self.sequence = 0

    @asynccontextmanager
    async def owner(self) -> AsyncIterator["Owner"]:
        made = Owner(self)
        await made.store.claim()
        running = [asyncio.create_task(each) for each in (made.writer.run(), made.relay.run())]
        try:
            yield made
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


class Owner:
    """What one owner of the shard has in memory."""

    def __init__(self, around: Deciding) -> None:
        self._around = around
        self.store = Store(around.broker.states[0])
        self.store.largest = around.broker.largest
        self.store.sizes = around.stored
        self.writer = Writer(self.store)
        self.relay = Relay(InMemoryEventLog(around.broker), self.writer.note_relayed)
        self.enrolments = Enrolments(self.store)
        self.desk = Desk(
            shard=0,
            catalog=around.catalog,
            contacts=Contacts(self.store, self.writer),
            enrolments=self.enrolments,
            writer=self.writer,
            relay=self.relay,
            dead_letters=InMemoryDeadLetters(around.broker),
            dispatch=lambda *_: None,
            arm=lambda *_: None,
            census=Census(),
        )

    async def take(
        self, number: int, kind: str = KIND, data: Any = None, sequence: int = 0, media: str | None = None
    ) -> None:
        """Decide on the event of this number, which stands in EVENTS for the first time, or again."""
        body = (
            data if isinstance(data, bytes) else json.dumps({"n": number} if data is None else data).encode()
        )
        self._around.sequence += 1
        event = CloudEvent(
            id=str(number),
            source="/shop",
            type=kind,
            datacontenttype=media,
            data=body,
        )
        place = sequence or self._around.sequence
        await self.desk.decide(KEY, EventArrived(NOW + place, event, place))

    async def settled(self) -> None:
        """Everything is on disk and told."""
        async with asyncio.timeout(20):
            await self.desk.settled()
            await self.relay.drained()
            await self.desk.settled()

    async def journeys(self) -> list[Any]:
        """Of Ana, those that are in memory."""
        return list((await self.desk.entry(KEY)).enrolment.journeys.values())
