"""Somebody who floods a world: hot contacts, huge events, types without end, events that change nothing.

What it does is drawn from the seed, with bounds as small as `limits` makes them. In the end, in calm
weather, it does everything at once while owners are killed, and others ask for mails: how soon they get them
is for the oracles, as is what it must not reach.
"""

import asyncio
import json
from typing import NamedTuple

from tests.simulation import floods, flows, limits
from tests.simulation.bounds import beyond

from emailflow_runtime.app import contacts, enrolments
from emailflow_runtime.core.cloudevents.event import CloudEvent

SOURCE = "/flood"
HOT = "mallory@example.com"
SIZES = (200, 4_000, 20_000, 45_000, 70_000, 95_000, 99_000)
"""Bytes of an event; the last is more than a receiver takes, since its headers would have no room."""
ESCAPED = 20_000
"""Characters of a text that is six times as long in JSON: no fact can tell of it."""
COSTLY = 9_000
CALM = 150.0
"""Seconds before the last attack."""
PAUSE = 2.0
"""Seconds between the last attack, a take-over, and what comes after it."""
GRACE = 90.0
"""Seconds in which everything that was asked for then has to have happened."""


class Probe(NamedTuple):
    """An event by which somebody else asks for a mail, and when a receiver took it (seconds)."""

    event: CloudEvent
    flow: str
    at: float


class Bystander:
    """In worlds without an adversary."""

    def __init__(self, world):
        pass

    def narrow(self, shard):
        pass

    async def until(self, end):
        pass

    async def last_attack(self):
        pass


class Adversary:
    """One for each world that has one. `probes` are what others asked for meanwhile."""

    def __init__(self, world):
        self.world = world
        self.random = world.random
        self.probes = []
        self.beyond = []
        """Bounds that memory went beyond, as found."""
        self._shards = []
        self._made = 0
        self._forms = []
        world.network.look = self._look

    # --- bounds of memory ---------------------------------------------------------------------------

    def narrow(self, shard):
        """Let it keep few enrolments and contacts, and watch what it keeps."""
        shard._desk._enrolments._most = enrolments.BYTES
        shard._desk._contacts._most = contacts.BYTES
        self._shards.append(shard)

    def _look(self):
        for shard in self._shards:
            self.beyond += beyond(shard)

    # --- what it does -------------------------------------------------------------------------------

    async def until(self, end):
        """One attack after the other, until then (seconds of the loop)."""
        attacks = []
        while (pause := self.random.expovariate(1 / 40)) + self.world.loop.time() < end:
            await asyncio.sleep(pause)
            attack = self.random.choice(self.attacks())
            attacks.append(self.world.loop.create_task(attack()))
        await asyncio.gather(*attacks)

    def attacks(self):
        """All of them."""
        rest = (self.costly, self.invent, self.ignored, self.repeat, self.shop)
        return (self.crowd, self.close, self.huge, *rest)

    async def crowd(self):
        """Journeys of one contact: more than one answer holds, more than one commit ends, maybe too many."""
        await self._send([self._event(floods.TICKET) for _ in range(self.random.choice((8, 20, 50)))])

    async def close(self):
        """End them all by one event."""
        await self._send([self._event(floods.CLOSED)])

    async def huge(self):
        """Events near what one message may be, restarting journeys and beside each other."""
        kinds, docs = (floods.DRAFT, floods.TICKET), ("d1", "d2")
        events = [
            self._event(self.random.choice(kinds), doc=self.random.choice(docs), text="x" * size)
            for size in self.random.choices(SIZES, k=self.random.randrange(3, 9))
        ]
        text = CloudEvent(
            id=self._id(),
            source=SOURCE,
            type=floods.TICKET,
            subject=HOT,
            datacontenttype="text/plain",
            data=b"\x01" * ESCAPED,
        )
        await self._send([*events, text])

    async def shop(self):
        """What everybody does, in the flows that everybody is in, thirty times as much of it."""
        kinds = self.random.choices((flows.CART, flows.CART, flows.ORDER, flows.VIEWED), k=30)
        carts = [f"c{self.random.randrange(6)}" for _ in kinds]
        pairs = zip(kinds, carts, strict=True)
        await self._send([self._event(kind, cart=cart, total=5, plan="pro") for kind, cart in pairs])

    async def costly(self):
        """Lists over which an expression would take too long, between those that are ordinary."""
        counts = (2, COSTLY, 30, COSTLY)
        await self._send([self._event(floods.BASKET, items=list(range(count))) for count in counts])

    async def invent(self):
        """Each event of another type, about the hot contact and others."""
        kinds = [f"com.example.made.up{self._id()}" for _ in range(3 * limits.SMALL[limits.TYPES])]
        await self._send([self._event(kind, email=self._somebody()) for kind in kinds])

    async def ignored(self):
        """Events that change nothing, since somebody is in the flow already; maybe he leaves then."""
        forms = [self._event(floods.FORM) for _ in range(self.random.randrange(10, 40))]
        self._forms += forms
        await self._send(forms)
        if self.random.random() < 0.5:
            await self._send([self._event(floods.LEFT)])
            await self.repeat()

    async def repeat(self):
        """Everything that was ignored, again, by source and id."""
        again = self._forms[-60:]
        await self._send(self.random.sample(again, min(len(again), 15)))

    def _somebody(self):
        return self.random.choice((HOT, *flows.HONEST))

    def _id(self):
        self._made += 1
        return str(self._made)

    def _event(self, kind, *, email=HOT, source=SOURCE, **data):
        body = json.dumps({"email": email, **data}, separators=(",", ":")).encode()
        return CloudEvent(
            id=self._id(), source=source, type=kind, datacontenttype="application/json", data=body
        )

    async def _send(self, events):
        await asyncio.gather(*(self.world.produce(event, tries=4) for event in events))

    # --- the last attack ----------------------------------------------------------------------------

    async def last_attack(self):
        """Everything at once, and a take-over in the middle of it; others want their mails all the same."""
        world = self.world
        world.open_door()
        # What a provider refused before is tried again, so that it counts as working.
        await self.probe()
        await asyncio.sleep(CALM)
        self.probes.clear()
        for _ in range(2):
            attack = [world.loop.create_task(each()) for each in self.attacks()]
            await self.probe()
            await asyncio.sleep(PAUSE)
            await asyncio.gather(*attack)
            self._take_over()
            attack = [world.loop.create_task(each()) for each in (self.crowd, self.repeat)]
            await self.probe()
            await asyncio.sleep(GRACE)
            await asyncio.gather(*attack)
        world.doors[-1].close()

    async def probe(self):
        """Others ask for a mail, in flows of theirs and in those that are flooded."""
        await asyncio.gather(
            *(
                self._ask(self._event(kind, email=email, source="/shop", cart="c9"), flow)
                for email in flows.HONEST
                for kind, flow in ((flows.ORDER, "receipt"), (floods.TICKET, "ticket"))
            )
        )

    async def _ask(self, event, flow):
        await self.world.produce(event)
        self.probes.append(Probe(event, flow, self.world.loop.time()))

    def _take_over(self):
        running = [each for each in self.world.owners if each.running]
        if running:
            self.random.choice(running).kill()
        self.world.start_owner()
