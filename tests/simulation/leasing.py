"""LEASES as a replica has them over the network: it hears late, and its words may get lost."""

import asyncio

from emailflow_runtime.adapters.in_memory.lease_bucket import InMemoryLeases


class Leases(InMemoryLeases):
    """The port Leases."""

    def __init__(self, state, replica, network):
        super().__init__(state, replica)
        self._network = network

    async def listen(self):
        self.state.hearers.append(self._hear_later)

    def _hear_later(self, key, holder):
        loop = asyncio.get_running_loop()
        loop.call_later(self._network.lag(), self.hear, key, holder, context=self._network.world)

    async def read(self):
        await self._network.lease_clock.awake.wait()
        return await self._network.call("leases", self.state.view)

    async def announce(self):
        await self._put(f"member.{self.replica}", self.replica)

    async def withdraw(self):
        await self._put(f"member.{self.replica}", "")

    async def _put(self, key, holder):
        self._say(key, holder)
        await self._network.call("member", lambda: self.state.put(key, holder))

    async def take(self, shard, revision):
        return await self._swap(shard, revision, self.replica)

    async def release(self, shard, revision):
        await self._swap(shard, revision, "")

    async def _swap(self, shard, revision, holder):
        def effect():
            taken = self.state.swap(shard, revision, holder)
            self._network.note("lease", shard, self.replica, holder, revision, taken)
            return taken

        self._say(f"shard.{shard}", holder)
        return await self._network.call("lease", effect)
