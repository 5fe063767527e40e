"""A whole installation in one seed: people, producers, a door, providers, and owners that come and go.

`World.run` plays it to the end: a stretch of events and trouble, a second one when the long waits are over,
then quiet until nothing moves any more. What must be true then stands in `oracles`.
"""

import asyncio
import contextlib
import copy
import json
import random

from tests.simulation import flows, ports
from tests.simulation.loop import PROCESS
from tests.simulation.network import Network
from tests.simulation.provider import PostOffice

from emailflow_api.jetstream.topology import PIN_TIMEOUT
from emailflow_runtime.adapters.in_memory.broker import Broker
from emailflow_runtime.adapters.in_memory.loop_clock import SECOND, LoopClock
from emailflow_runtime.adapters.in_memory.renderer import InProcessRenderer
from emailflow_runtime.app.catalog import Catalog
from emailflow_runtime.app.composing import Composer
from emailflow_runtime.app.ingest import LogIngest
from emailflow_runtime.app.mail_links import MailLinks
from emailflow_runtime.app.shard import Outside, Shard
from emailflow_runtime.core.cloudevents.event import CloudEvent
from emailflow_runtime.core.identity import contact_key
from emailflow_runtime.core.links import Keyring
from emailflow_runtime.errors import EmailFlowError, EpochLost

START = 1_772_323_200 * SECOND
"""2026-03-01, when every world begins."""
EVENTFUL = 240.0
"""Seconds in which events come."""
QUIET = 6 * 3600.0
"""Seconds after which everything must have come to its end: waits, backoffs, unknowns."""
KEYRING = Keyring({"k1": b"a key that is long enough"})
SUPPRESSED = "nobody@example.com"
"""Has said before the beginning that he wants no mail at all."""
PEOPLE = ("ana@example.com", "Ben@example.com", "cy@example.com", SUPPRESSED)
COMPILED = Catalog(flows.plans())
RENDERER = InProcessRenderer()
"""Expressions and templates are compiled once for all worlds."""


def new_catalog():
    """The plans as one process has them."""
    catalog = copy.copy(COMPILED)
    catalog._changed = asyncio.Condition()
    return catalog


class Owner:
    """A process that owns the shard, or believes so."""

    def __init__(self, world, name, skew):
        self.name = name
        self.killed = False
        self.ending = False
        self.shard = None
        self.feeds = None
        self._world = world
        self._skew = skew
        self._task = None

    def start(self):
        """Begin, as this process."""
        world = self._world
        self._context = world.network.world.copy()
        self._context.run(PROCESS.set, self.name)
        self._task = world.loop.create_task(self._run(), context=self._context)

    async def _run(self):
        world = self._world
        make = world.make
        self.store = make.State(world.broker.states[0], world.network)
        self.feeds = make.Feeds(world.broker, world.network)
        catalog = new_catalog()
        outside = Outside(
            catalog=catalog,
            log=make.Log(world.broker, world.network),
            feeds=self.feeds,
            dead_letters=make.Letters(world.broker, world.network),
            composer=Composer(catalog, RENDERER, KEYRING),
            transports=make.Transports(world.office, world.network),
            consents=make.Consents(world.broker, world.network),
            clock=LoopClock(START, skew=self._skew),
            reconnected=world.never,
        )
        self.shard = Shard(0, self.store, outside)
        try:
            await self.shard.run()
        except EpochLost:
            world.network.note("epoch lost")
        except Exception as error:  # noqa: BLE001 - the oracles judge it
            # Whoever looks after processes would start it again, but it should not have ended.
            world.network.note("ended", repr(error))
            world.failures.append(repr(error))

    @property
    def over(self):
        """Whether it will never do anything again."""
        return self.killed or self.ending or self._task.done()

    @property
    def holds_epoch(self):
        """Whether it is the one that may write."""
        store = getattr(self, "store", None)
        return store is not None and store.epoch == self._world.broker.states[0].epoch

    def kill(self):
        """SIGKILL: no step more. What it has sent is on its way."""
        self.killed = True
        self._stop("killed")

    def stall(self):
        """SIGSTOP: it goes on later, and knows nothing of it."""
        self._stop("stalled")

    def _stop(self, word):
        world = self._world
        world.network.note(word, self.name)
        world.loop.stop_process(self.name)
        world.loop.call_later(PIN_TIMEOUT / SECOND, self._fall_silent, context=world.network.world)

    def _fall_silent(self):
        if self.name in self._world.loop.stopped and self.feeds is not None:
            for feed in self.feeds.made:
                feed.fall_silent()

    async def end(self):
        """SIGTERM: finish what is begun, then go."""
        self._world.network.note("ends", self.name)
        over, self.ending = self.over, True
        if self.shard is not None and not over:
            stopping = self._world.loop.create_task(self.shard.stop(), context=self._context)
            await asyncio.wait((stopping,), timeout=5)
            stopping.cancel()
        self._task.cancel()


class Door:
    """A process that takes events."""

    def __init__(self, world, name):
        self.name = name
        context = world.network.world.copy()
        context.run(PROCESS.set, name)
        network, broker = world.network, world.broker
        self.ingest = context.run(
            LogIngest,
            new_catalog(),
            ports.Log(broker, network),
            ports.Aliases(broker, network),
            ports.Letters(broker, network),
        )
        self._task = world.loop.create_task(self.ingest.run(), context=context)

    def close(self):
        self._task.cancel()


class World:
    """One seed's world. `make` says where ports come from, so that a test can plant a fault there."""

    def __init__(self, loop, seed, *, make=ports, faults=True):
        self.loop = loop
        self.seed = seed
        self.make = make
        self.random = random.Random(f"world {seed}")
        self.network = Network(loop, seed, faults=faults)
        self.faults = faults
        self.clock = LoopClock(START)
        self.broker = Broker(self.clock)
        self.office = PostOffice(self.network)
        self.accepted: list[CloudEvent] = []
        """Everything that a door has said yes to."""
        self.unsubscribed: list[tuple[str, str]] = []
        """(source, id) of each unsubscription that was accepted."""
        self.owners: list[Owner] = []
        self.failures: list[str] = []
        """Why owners ended that nobody ended."""
        self._never = asyncio.Event()
        self.doors: list[Door] = []
        self.strikes = set()
        self.network.strike = self.strike

    async def never(self):
        """Nothing reconnects here: connections are not modelled, only what they lose."""
        await self._never.wait()

    async def prepare(self):
        """What the operator has made ready, and what was said before the beginning."""
        for name, program in flows.PROGRAMS.items():
            await self.broker.provide_flow(f"shop_{name}", program.types())
        self.broker.consents[contact_key("address", SUPPRESSED)] = {"*": False}
        self.open_door()

    # --- owners -------------------------------------------------------------------------------------

    def start_owner(self):
        """Another process begins, and takes the shard."""
        skew = self.random.choice((0, 0, 0, 300, -300, 2000, -2000)) * 1_000_000 if self.faults else 0
        owner = Owner(self, f"owner-{len(self.owners)}", skew)
        self.owners.append(owner)
        owner.start()
        return owner

    def make_sure_of_an_owner(self):
        """Whoever looks after processes starts one when the last one is gone."""
        if not any(not owner.over for owner in self.owners[-1:]):
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
            "email": draw.choice(PEOPLE),
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
        links = MailLinks(KEYRING, new_catalog(), ports.Log(self.broker, self.network), self.clock)
        link = links.read(token)
        for _ in range(self.random.choice((1, 1, 2))):
            with contextlib.suppress(EmailFlowError):
                await links.unsubscribe(link)
                self.network.note("unsubscribed", link.address)

    # --- trouble ------------------------------------------------------------------------------------

    async def trouble(self, until):
        """One thing after the other, until then (seconds of the loop)."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / 25))
            if self.loop.time() >= until:
                return
            await self.random.choice(
                (
                    self.kill,
                    self.kill,
                    self.two,
                    self.stall,
                    self.hand_over,
                    self.outage,
                    self.another_door,
                    self.fill_up,
                    self.unsubscribe,
                    self.unsubscribe,
                )
            )()

    def strike(self, process):
        """Something happens to an owner in the middle of what it does."""
        if process != self.owners[-1].name or process in self.loop.stopped:
            return
        happening = self.random.choice((self.kill, self.kill, self.stall, self.two))
        task = self.loop.create_task(happening(), context=self.network.world.copy())
        self.strikes.add(task)
        task.add_done_callback(self.strikes.discard)

    async def kill(self):
        self.owners[-1].kill()
        await asyncio.sleep(self.random.choice((0.0, 0.0, 1.0, 20.0)))
        self.start_owner()

    async def two(self):
        self.start_owner()

    async def stall(self):
        owner = self.owners[-1]
        owner.stall()
        length = self.random.choice((0.5, 8.0, 40.0, 90.0))
        if self.random.random() < 0.6:
            await asyncio.sleep(length * self.random.random())
            self.start_owner()
        await asyncio.sleep(length)
        if not owner.killed:
            self.loop.resume_process(owner.name)

    async def hand_over(self):
        owner = self.owners[-1]
        if self.random.random() < 0.3:
            self.start_owner()
        await owner.end()
        self.make_sure_of_an_owner()

    async def outage(self):
        self.network.go_away()
        await asyncio.sleep(self.random.choice((0.3, 3.0, 20.0)))
        self.network.come_back()

    async def another_door(self):
        if self.random.random() < 0.5:
            self.loop.stop_process(self.doors[-1].name)
        self.open_door()

    def open_door(self):
        self.doors.append(Door(self, f"door-{len(self.doors)}"))

    async def fill_up(self):
        self.broker.fill = 0.95
        await asyncio.sleep(5)
        self.broker.fill = 0.0

    # --- the course of a world ----------------------------------------------------------------------

    async def run(self):
        """From the first event until nothing moves any more."""
        await self.prepare()
        self.start_owner()
        stirring = [self.loop.create_task(self.events())]
        if self.faults:
            stirring.append(self.loop.create_task(self.trouble(EVENTFUL)))
        await asyncio.gather(*stirring)
        await self.settle()
        await asyncio.sleep(flows.LATER - self.loop.time() % flows.LATER)
        if self.faults:
            self.network.calm = False
            await self.trouble(self.loop.time() + EVENTFUL)
            await self.settle()
        await asyncio.sleep(QUIET)
        self.network.closed = True

    async def settle(self):
        """The trouble is over: everybody runs, nothing is lost any more, one owner is there."""
        self.network.calm = True
        if self.strikes:
            await asyncio.wait(self.strikes)
        self.network.come_back()
        self.broker.fill = 0.0
        for owner in self.owners:
            if not owner.killed:
                self.loop.resume_process(owner.name)
        self.make_sure_of_an_owner()
        # A door looks once a second how full the log is: nothing that should be awaited for hours.
        for door in self.doors:
            door.close()
