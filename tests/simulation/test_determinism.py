"""A seed is one course of events: the same again, in this process and in another one."""

import os
import subprocess
import sys
from pathlib import Path

from tests.simulation.play import play

ROOT = Path(__file__).parents[2]
SEED = 7


def trace_hash_elsewhere(hash_seed):
    command = [sys.executable, "-m", "tests.simulation.play", str(SEED)]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    ran = subprocess.run(
        command, check=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    return [line.removeprefix("trace ") for line in ran.stdout.splitlines() if line.startswith("trace ")]


def test_a_seed_takes_the_same_course_again():
    assert play(SEED).trace_hash == play(SEED).trace_hash


def test_a_seed_takes_the_same_course_in_another_process():
    assert trace_hash_elsewhere("1") == trace_hash_elsewhere("2") == [play(SEED).trace_hash]


def test_another_seed_takes_another_course():
    assert len({play(seed).trace_hash for seed in range(10)}) == 10
