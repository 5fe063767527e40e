"""The files that the house's rules are about: all that git tracks, and those about to be added."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def listed(*patterns: str) -> list[Path]:
    """Files below the root, tracked or new, but not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted(path for name in names.split("\0") if name and (path := ROOT / name).is_file())


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> list[Path]:
    return listed()


@pytest.fixture(scope="session")
def modules() -> list[Path]:
    """The modules that are shipped."""
    found = listed("crds/**.py", "operator/**.py", "runtime/**.py")
    assert found
    return found
