"""A seed is one course of events: the same again, in this process and in another one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.simulation.features import Features, features
from tests.simulation.play import play

ROOT = Path(__file__).parents[2]
PLAIN = 7
SHARED = 22
"""A world of replicas that share shards."""
CHANGING = 4
"""A world in which what is applied changes."""
FLOODED = 8
"""A world with an adversary."""


def trace_hash_elsewhere(seed, hash_seed):
    command = [sys.executable, "-m", "tests.simulation.play", str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ran = subprocess.run(
        command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    return [line.removeprefix("trace ") for line in ran.stdout.splitlines() if line.startswith("trace ")]


def test_the_seeds_of_these_tests_have_what_they_should():
    assert features(PLAIN) == Features()
    assert features(SHARED).replicas
    assert features(CHANGING).changes
    assert features(FLOODED).adversary


@pytest.mark.parametrize("seed", [PLAIN, SHARED, CHANGING, FLOODED])
def test_a_seed_takes_the_same_course_again(seed):
    assert play(seed).trace_hash == play(seed).trace_hash


@pytest.mark.parametrize("seed", [PLAIN, SHARED, CHANGING, FLOODED])
def test_a_seed_takes_the_same_course_in_another_process(seed):
    elsewhere = {trace_hash_elsewhere(seed, hash_seed)[0] for hash_seed in ("1", "2")}
    assert elsewhere == {play(seed).trace_hash}


def test_another_seed_takes_another_course():
    assert len({play(seed).trace_hash for seed in range(10)}) == 10
