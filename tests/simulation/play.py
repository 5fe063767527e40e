"""Playing one seed, from the first event to the verdict.

`python -m tests.simulation.play SEED` repeats a seed exactly and prints its trace before the verdict.
"""

import logging
import sys
from contextlib import contextmanager
from typing import NamedTuple

from tests.simulation import limits, ports
from tests.simulation.features import features
from tests.simulation.loop import Deadlock, Livelock, run
from tests.simulation.oracles import problems
from tests.simulation.world import World


class Played(NamedTuple):
    """How a seed went. `problems` is empty when everything was as promised."""

    problems: list
    trace_hash: str
    world: World


@contextmanager
def quiet():
    """What fails on purpose is not worth a line; whoever comes after hears everything again."""
    logger = logging.getLogger("emailflow_runtime")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def play(seed, *, make=ports, faults=True):
    """Play the world of this seed."""
    made = []

    async def main(loop):
        world = World(loop, seed, make=make, faults=faults)
        made.append(world)
        await world.run()
        return problems(world)

    flooded = faults and features(seed).adversary
    try:
        with quiet(), limits.kept(make.SMALL if flooded else {}):
            found = run(main, seed)
    except (Deadlock, Livelock) as error:
        found = [f"{type(error).__name__}: {error}"]
    return Played(found, made[0].network.trace_hash(), made[0])


def command(seed):
    """What repeats this seed."""
    return f".venv/bin/python -m tests.simulation.play {seed}"


if __name__ == "__main__":
    played = play(int(sys.argv[1]))
    told = [" ".join(map(str, line)) for line in played.world.network.trace]
    told += [f"trace {played.trace_hash}", *(played.problems or ["everything as promised"])]
    sys.stdout.write("\n".join(told) + "\n")
    sys.exit(bool(played.problems))
