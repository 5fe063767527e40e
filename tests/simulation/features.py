"""What a world has, drawn from its seed: so that a thousand worlds meet everything, and none pays for all."""

import random
from typing import NamedTuple


class Features(NamedTuple):
    """`replicas`: how many share the shards by leases in the beginning; 0: owners take the only shard by
    force. `changes`: what is applied changes meanwhile. `adversary`: somebody floods it, and bounds are
    small."""

    shards: int = 1
    replicas: int = 0
    changes: bool = False
    adversary: bool = False


PLAIN = Features()
SHARED = 0.05
"""The share of worlds with leases: they cost several times as much as others."""
CHANGING = 0.08
"""The share of worlds in which what is applied changes."""
FLOODED = 0.04
"""The share of the others that have an adversary."""


def features(seed):
    """Those of this seed."""
    draw = random.Random(f"features {seed}")
    shared = draw.random() < SHARED
    has = Features(draw.randrange(2, 5), draw.randrange(2, 4)) if shared else PLAIN
    if random.Random(f"changing {seed}").random() < CHANGING:
        return has._replace(changes=True)
    return has._replace(adversary=random.Random(f"adversary {seed}").random() < FLOODED)
