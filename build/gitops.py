#!/usr/bin/env python3
"""Build the program with Argo CD's own code that the tests ask for differences, health and actions.

Prints its path. Builds once per source and Go version, from tests/gitops, into the user's cache. Safe to
call from several processes at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import sys
from pathlib import Path

from environment import ROOT
from go_toolchain import cache_folder, go_program, go_version

from apiserver import Program, compile_program, pinned

PROGRAM = Program("gitops", "../gitops", ".")


def program() -> Path:
    """The program, built when it has to be. It appears whole or not at all."""
    minimum = tuple(int(part) for part in pinned(r"^go ([\d.]+)$", PROGRAM.module).split("."))
    cache = cache_folder() / "gitops"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        go = go_program(minimum)
        folder = ROOT / "tests/gitops"
        sources = [folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go"))]
        digest = hashlib.sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:16]
        target = cache / f"gitops-{digest}-go{'.'.join(str(part) for part in go_version(go))}"
        if not target.exists():
            unfinished = cache / ".unfinished"
            compile_program(go, PROGRAM, unfinished)
            unfinished.rename(target)
    return target


if __name__ == "__main__":
    sys.stdout.write(f"{program()}\n")
