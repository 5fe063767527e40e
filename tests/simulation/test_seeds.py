"""Whatever happens, the promises hold: a thousand worlds, each with troubles of its own.

`EMAILFLOW_SEEDS` says how many (or which, as `1000:2000`).
"""

import os

import pytest
from tests.simulation.play import command, play

CHUNK = 25


def wanted():
    """The seeds to play, in chunks, so that processes can share them."""
    first, _, last = os.environ.get("EMAILFLOW_SEEDS", "1000").rpartition(":")
    seeds = range(int(first or 0), int(last))
    return [seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK)]


@pytest.mark.parametrize("seeds", wanted(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_the_promises_hold(seeds):
    failed = {seed: found for seed in seeds if (found := play(seed).problems)}
    told = (f"seed {seed}: {'; '.join(found)}\nrepeat it: {command(seed)}" for seed, found in failed.items())
    assert not failed, "\n".join(told)
