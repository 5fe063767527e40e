"""The simulation can fail: it finds every fault that is planted in a port, within a few hundred seeds."""

from itertools import islice

import pytest
from tests.simulation.features import features
from tests.simulation.planted import PLANTED
from tests.simulation.play import play

WORLDS = 300


def worlds(planted):
    """Seeds of worlds in which the fault can show."""
    seeds = (
        seed for seed in range(100 * WORLDS) if not planted.worlds or getattr(features(seed), planted.worlds)
    )
    return islice(seeds, WORLDS)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(planted):
    found = (problem for seed in worlds(planted) for problem in play(seed, make=planted.make).problems)
    assert any(planted.finds in problem for problem in found)
