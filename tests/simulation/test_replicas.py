"""What became of seeds that failed: courses of replicas and leases, each a test of its own now."""

import asyncio

from tests.simulation.features import Features
from tests.simulation.loop import run
from tests.simulation.oracles import problems
from tests.simulation.world import SHARED_FOR, World


def test_who_slept_over_a_restart_of_the_server_sees_that_its_shards_are_somebody_elses():
    """The bucket that was made again has lower revisions than those that it remembers."""

    async def main(loop):
        world = World(loop, 0, faults=False, has=Features(shards=2, replicas=2))
        await world.prepare()
        one, other = world.start_owner(), world.start_owner()
        # Long enough for revisions that the new bucket won't reach in this test.
        await asyncio.sleep(5 * SHARED_FOR)
        assert (len(one.owned), len(other.owned)) == (1, 1)
        if 1 in one.owned:
            one, other = other, one  # of two shards, the second would be handed over again
        one.stall()
        world.leases.forget()
        await asyncio.sleep(SHARED_FOR)
        assert other.owned == {0, 1}
        loop.resume_process(one.name)
        await asyncio.sleep(SHARED_FOR)
        world.doors[-1].close()
        return problems(world)

    assert run(main, 0) == []
