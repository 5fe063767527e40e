"""The simulation can fail: it finds every fault that is planted in a port, within a few hundred seeds."""

import pytest
from tests.simulation.planted import PLANTED
from tests.simulation.play import play

SEEDS = 300


@pytest.mark.parametrize("make", PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found(make):
    assert any(play(seed, make=make).problems for seed in range(SEEDS))
