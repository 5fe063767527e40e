"""What goes wrong in a world, one thing after the other, drawn from its seed.

`OfOwners` is for the one shard, whose owners replace each other by force; `OfReplicas` for those that share
shards by leases.
"""

import asyncio

from emailflow_runtime.adapters.in_memory.loop_clock import SECOND


class Trouble:
    """What may happen in any world."""

    def __init__(self, world):
        self.world = world
        self.random = world.random
        self._strikes = set()
        world.network.strike = self.strike

    def _happenings(self):
        people = (self.world.unsubscribe, self.world.unsubscribe)
        return (self.outage, self.another_door, self.fill_up, self.set_clock, *people)

    async def until(self, end):
        """One thing after the other, until then (seconds of the loop)."""
        while True:
            await asyncio.sleep(self.random.expovariate(1 / 25))
            if self.world.loop.time() >= end:
                return
            await self.random.choice(self._happenings())()

    def strike(self, process):
        """Something happens to a process in the middle of what it does."""
        if not self._may_strike(process):
            return
        happening = self._struck(process)
        task = self.world.loop.create_task(happening, context=self.world.network.world.copy())
        self._strikes.add(task)
        task.add_done_callback(self._strikes.discard)

    async def over(self):
        """Return when what was begun has happened."""
        if self._strikes:
            await asyncio.wait(self._strikes)

    async def outage(self):
        self.world.network.go_away()
        await asyncio.sleep(self.random.choice((0.3, 3.0, 20.0)))
        self.world.network.come_back()

    async def another_door(self):
        if self.random.random() < 0.5:
            self.world.loop.stop_process(self.world.doors[-1].name)
        self.world.open_door()

    async def fill_up(self):
        self.world.broker.fill = 0.95
        await asyncio.sleep(5)
        self.world.broker.fill = 0.0

    async def set_clock(self):
        """nats-server's clock is put forward."""
        seconds = self.random.choice((0.3, 2, 600))
        self.world.network.note("clock set", seconds)
        self.world.clock.start += int(seconds * SECOND)

    async def _stalled(self, process, replace):
        """Stop it for a while; it comes back believing what it believed."""
        process.stall()
        length = self.random.choice((0.5, 8.0, 40.0, 90.0))
        if self.random.random() < 0.6:
            await asyncio.sleep(length * self.random.random())
            replace()
        await asyncio.sleep(length)
        if not process.killed:
            self.world.loop.resume_process(process.name)


class OfOwners(Trouble):
    """Whatever happens, happens to the newest owner."""

    def _happenings(self):
        return (self.kill, self.kill, self.two, self.stall, self.hand_over, *super()._happenings())

    def _may_strike(self, process):
        owners = self.world.owners
        return owners and process == owners[-1].name and process not in self.world.loop.stopped

    def _struck(self, process):
        return self.random.choice((self.kill, self.kill, self.stall, self.two))()

    async def kill(self):
        self.world.owners[-1].kill()
        await asyncio.sleep(self.random.choice((0.0, 0.0, 1.0, 20.0)))
        self.world.start_owner()

    async def two(self):
        self.world.start_owner()

    async def stall(self):
        await self._stalled(self.world.owners[-1], self.world.start_owner)

    async def hand_over(self):
        owner = self.world.owners[-1]
        if self.random.random() < 0.3:
            self.world.start_owner()
        await owner.end()
        self.world.make_sure_of_an_owner()


class OfReplicas(Trouble):
    """Whatever happens, happens to some replica, and nobody but the leases says who owns what then."""

    MOST = 4

    def _happenings(self):
        return (
            self.kill,
            self.stall,
            self.stall,
            self.hand_over,
            self.join,
            self.restart_server,
            *super()._happenings(),
        )

    def _some(self):
        """One that runs; if there is none, a new one."""
        running = [each for each in self.world.owners if each.running]
        return self.random.choice(running) if running else self.world.start_owner()

    def _may_strike(self, process):
        return any(each.name == process and each.running for each in self.world.owners)

    def _struck(self, process):
        replica = next(each for each in self.world.owners if each.name == process)
        return self.random.choice((self.kill, self.stall))(replica)

    async def kill(self, replica=None):
        (replica or self._some()).kill()
        await asyncio.sleep(self.random.choice((0.0, 1.0, 20.0)))
        self._replace()

    async def stall(self, replica=None):
        await self._stalled(replica or self._some(), self._replace)

    async def hand_over(self):
        """As when a Deployment rolls: maybe with one more before, maybe with one less for good."""
        replica = self._some()
        if self.random.random() < 0.4:
            self.world.start_owner()
        await replica.end()
        if self.random.random() < 0.6:
            self._replace()

    async def join(self):
        self._replace()

    async def restart_server(self):
        """Leases are in nats-server's memory."""
        self.world.network.note("the server restarts")
        self.world.network.go_away()
        self.world.leases.forget()
        await asyncio.sleep(self.random.choice((0.3, 3.0, 20.0)))
        self.world.network.come_back()

    def _replace(self):
        if sum(not each.over for each in self.world.owners) < self.MOST:
            self.world.start_owner()
