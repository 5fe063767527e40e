"""A whole installation in one seed: people, producers, a door, providers, and owners that come and go.

Not every world has everything: one in some has shards that replicas share by leases (`features`).

`World.run` plays it to the end: a stretch of events and trouble, a second one when the long waits are over,
then quiet until nothing moves any more. What must be true then stands in `oracles`.
"""

import asyncio
import contextlib
import copy
import json
import random
from functools import cache

from tests.simulation import flows, limits, ports
from tests.simulation.adversary import Adversary, Bystander
from tests.simulation.applying import Applied, Changes
from tests.simulation.features import PLAIN, features
from tests.simulation.kv import Bucket
from tests.simulation.network import Network
from tests.simulation.operating import JetStream
from tests.simulation.processes import KEYRING, START, Door, Owner, Replica
from tests.simulation.provider import PostOffice
from tests.simulation.trouble import OfOwners, OfReplicas

from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.lease_bucket import LeaseState
from emailflow_runtime.adapters.in_memory.loop_clock import LoopClock
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.mail_links import MailLinks
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.errors import EmailFlowError

EVENTFUL = 240.0
"""Seconds in which events come."""
QUIET = 6 * 3600.0
"""Seconds after which everything must have come to its end: waits, backoffs, unknowns."""
SUPPRESSED = "nobody@example.com"
"""Has said before the beginning that he wants no mail at all."""
PEOPLE = (*flows.HONEST, SUPPRESSED)
MORE_PEOPLE = (*PEOPLE, "dee@example.com", "eve@example.com", "Flo@example.com")
"""Of worlds with several shards: some for each."""
SHARED_FOR = 60.0
"""Seconds that replicas have, after the last trouble, to share the shards among them again."""


@cache
def compiled(shards, flooded):
    """Expressions are compiled once for all worlds."""
    return Catalog(flows.plans(shards, flooded=flooded))


class World:
    """One seed's world. `make` says where ports come from, so that a test can plant a fault there; `has`:
    which features it has, whatever the seed says."""

    def __init__(self, loop, seed, *, make=ports, faults=True, has=None):
        self.loop = loop
        self.seed = seed
        self.make = make
        self.features = has or (features(seed) if faults else PLAIN)
        self.random = random.Random(f"world {seed}")
        self.network = Network(loop, seed, faults=faults)
        self.faults = faults
        self.clock = LoopClock(START)
        self.broker = Broker(self.clock, self.features.shards)
        self.leases = LeaseState(self.network.lease_clock)
        self.office = PostOffice(self.network)
        self.accepted: list[CloudEvent] = []
        """Everything that a door has said yes to."""
        self.unsubscribed: list[tuple[str, str]] = []
        """(source, id) of each unsubscription that was accepted."""
        self.owners: list[Owner | Replica] = []
        self.failures: list[str] = []
        """Why owners ended that nobody ended."""
        self._never = asyncio.Event()
        self.doors: list[Door] = []
        self.plans, self.reports = Bucket(), Bucket()
        self.jetstream = JetStream(self.broker, self.plans, self.reports)
        self.applied = Applied(self.features.shards)
        self.changes = Changes(self)
        self.decided = []
        """Every fact as it was decided, by whomever, in worlds where what is applied changes."""
        if self.features.adversary:
            self.broker.largest = limits.LARGEST
        self.adversary = (Adversary if self.features.adversary else Bystander)(self)
        self.trouble = (OfReplicas if self.features.replicas else OfOwners)(self)

    def new_catalog(self):
        """The plans as one process has them."""
        catalog = copy.copy(compiled(self.features.shards, self.features.adversary))
        catalog._changed = asyncio.Condition()
        return catalog

    async def never(self):
        """Nothing reconnects here: connections are not modelled, only what they lose."""
        await self._never.wait()

    async def prepare(self):
        """What the operator has made ready, and what was said before the beginning."""
        if self.features.changes:
            self.changes.start_operator()
            await self._applied_first()
        else:
            for name, program in flows.programs(flooded=self.features.adversary).items():
                await self.broker.provide_flow(f"shop_{name}", program.types())
        self.broker.consents[contact_key("address", SUPPRESSED)] = {"*": False}
        self.open_door()

    async def _applied_first(self):
        """Owners begin when PLANS says what is applied."""
        source = ports.Plans(self.plans, self.network)
        async with contextlib.aclosing(source.snapshots()) as snapshots:
            async for plans in snapshots:
                if plans == self.applied.plans():
                    break
        source.close()

    def new_store(self, index):
        """STATE of a shard as one process has it."""
        kind = self.make.PagedState if self.features.adversary else self.make.State
        return kind(self.broker.states[index], self.network)

    # --- owners -------------------------------------------------------------------------------------

    def start_owner(self):
        """Another process begins; where there are no leases, it takes the shard."""
        kind = Replica if self.features.replicas else Owner
        owner = kind(self, f"owner-{len(self.owners)}")
        self.owners.append(owner)
        owner.start()
        return owner

    def make_sure_of_an_owner(self):
        """Whoever looks after processes starts one when the last one is gone."""
        candidates = self.owners if self.features.replicas else self.owners[-1:]
        if all(owner.over for owner in candidates):
            self.start_owner()

    # --- people and producers -----------------------------------------------------------------------

    async def produce(self, event, *, tries=8):
        """Hand an event in until a door says yes, as producers do; maybe give up."""
        for _ in range(tries):
            try:
                async with asyncio.timeout(12):
                    await self.doors[-1].ingest.accept(event)
            except (EmailFlowError, TimeoutError):
                await asyncio.sleep(1 + 4 * self.random.random())
                continue
            self.accepted.append(event)
            return

    async def events(self):
        """The events of the eventful stretch, each at its moment, some of them twice."""
        moments = sorted(self.random.uniform(0, EVENTFUL) for _ in range(self.random.randrange(8, 24)))
        producing, made, before = [], [], 0.0
        for number, moment in enumerate(moments):
            await asyncio.sleep(moment - before)
            before = moment
            if made and self.random.random() < 0.2:
                event = self.random.choice(made)
            else:
                event = self.new_event(number)
                made.append(event)
            producing.append(self.loop.create_task(self.produce(event)))
        await asyncio.gather(*producing)

    def new_event(self, number):
        """Something that a person did."""
        draw = self.random
        kind = draw.choice((flows.SIGNED_UP, flows.VIEWED, flows.CART, flows.CART, flows.ORDER))
        data = {
            "email": draw.choice(MORE_PEOPLE if self.features.replicas else PEOPLE),
            "cart": draw.choice(("c1", "c2")),
            "total": draw.choice((0, 5, 9)),
            "plan": draw.choice(("pro", "free")),
        }
        return CloudEvent(
            id=f"e{number}",
            source="/shop",
            type=kind,
            datacontenttype="application/json",
            data=json.dumps(data, separators=(",", ":")).encode(),
        )

    async def unsubscribe(self):
        """Somebody reads a mail and follows its link, maybe twice."""
        with_links = [taken for taken in self.office.taken if taken.unsubscribe_token]
        if not with_links:
            return
        token = self.random.choice(with_links).unsubscribe_token
        links = MailLinks(KEYRING, self.new_catalog(), ports.Log(self.broker, self.network), self.clock)
        link = links.read(token)
        for _ in range(self.random.choice((1, 1, 2))):
            with contextlib.suppress(EmailFlowError):
                await links.unsubscribe(link)
                self.network.note("unsubscribed", link.address)

    # --- doors ---

    def open_door(self):
        self.doors.append(Door(self, f"door-{len(self.doors)}"))

    # --- the course of a world ----------------------------------------------------------------------

    async def run(self):
        """From the first event until nothing moves any more."""
        await self.prepare()
        for _ in range(self.features.replicas or 1):
            self.start_owner()
        stirring = [self.loop.create_task(each) for each in (self.events(), self.adversary.until(EVENTFUL))]
        if self.faults:
            stirring.append(self.loop.create_task(self.trouble.until(EVENTFUL)))
        if self.features.changes:
            stirring.append(self.loop.create_task(self.changes.until(EVENTFUL)))
        await asyncio.gather(*stirring)
        await self.settle()
        await self.adversary.last_attack()
        await self.rest(flows.LATER - self.loop.time() % flows.LATER)
        if self.faults:
            self.network.calm = False
            end = self.loop.time() + EVENTFUL
            stirring = [self.trouble.until(end)]
            if self.features.changes:
                stirring.append(self.changes.until(end))
            await asyncio.gather(*stirring)
            await self.settle()
        await self.rest(QUIET)
        self.network.closed = True

    async def rest(self, seconds):
        """Let nothing but time pass. In most of it nobody looks at leases: tens of thousands of looks at what
        doesn't change."""
        if not self.features.replicas and not self.features.changes:
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(SHARED_FOR)
        self.network.lease_clock.stop()
        await asyncio.sleep(seconds - 2 * SHARED_FOR)
        self.network.lease_clock.go_on()
        await asyncio.sleep(SHARED_FOR)

    async def settle(self):
        """The trouble is over: everybody runs, nothing is lost any more, one owner is there."""
        self.network.calm = True
        await self.trouble.over()
        self.network.come_back()
        self.broker.fill = 0.0
        for owner in self.owners:
            if not owner.killed:
                self.loop.resume_process(owner.name)
        self.make_sure_of_an_owner()
        await self.changes.over()
        # A door looks once a second how full the log is: nothing that should be awaited for hours.
        for door in self.doors:
            door.close()
