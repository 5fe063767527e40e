"""What a world has, drawn from its seed: so that a thousand worlds meet everything, and none pays for all."""

import random
from typing import NamedTuple


class Features(NamedTuple):
    """`replicas`: how many share the shards by leases in the beginning; 0: owners take the only shard by
    force."""

    shards: int = 1
    replicas: int = 0


PLAIN = Features()
SHARED = 0.06
"""The share of worlds with leases: they cost several times as much as others."""


def features(seed):
    """Those of this seed."""
    draw = random.Random(f"features {seed}")
    shared = draw.random() < SHARED
    return Features(draw.randrange(2, 5), draw.randrange(2, 4)) if shared else PLAIN
