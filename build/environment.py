#!/usr/bin/env python3
"""Make `.tools/uv-*` and `.venv`, on which every target of the Makefile runs.

A fresh machine has only Python 3, so this file needs nothing but the standard library of Python 3.8. It
writes below the repository only, never into the machine's own Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV_VERSION = "0.13.9"
UV_HOME = ROOT / ".tools" / f"uv-{UV_VERSION}"


def say(message: str) -> None:
    """Report progress where it does not mix with a script's result on standard output."""
    sys.stderr.write(f"build: {message}\n")


def install_uv() -> None:
    """Install the pinned uv from the Python package index: in a venv, or beside pip where venv is missing.

    Debian splits `ensurepip` from Python, so `python3 -m venv` may fail on a machine that has pip.
    """
    say(f"fetching uv {UV_VERSION} (once)")
    requirement = f"uv=={UV_VERSION}"
    shutil.rmtree(UV_HOME, ignore_errors=True)
    venv = subprocess.run([sys.executable, "-m", "venv", str(UV_HOME)], capture_output=True, check=False)
    if venv.returncode == 0:
        pip = [str(UV_HOME / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement]
    else:
        shutil.rmtree(UV_HOME, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(UV_HOME), requirement]
    if subprocess.run(pip, stdout=sys.stderr, check=False).returncode:
        shutil.rmtree(UV_HOME, ignore_errors=True)
        sys.exit(
            "build: uv could not be installed. It needs python3 with venv or pip (Debian: apt-get install "
            "python3-venv), and the network to reach the Python package index."
        )


def uv_program() -> Path:
    """The pinned uv, fetched when it is not there yet."""
    program = UV_HOME / "bin" / "uv"
    if not program.exists():
        install_uv()
    return program


def wanted_python(uv: Path) -> str:
    """Python 3.11 where the machine has it, else any newer one it has, else 3.11 for uv to fetch."""
    for version in ("3.11", ">=3.11"):
        found = subprocess.run([uv, "python", "find", version], capture_output=True, check=False, cwd=ROOT)
        if found.returncode == 0:
            return version
    say("this machine has no Python 3.11 or newer; asking uv for one")
    return "3.11"


def sync() -> None:
    """Make `.venv` equal to uv.lock."""
    uv = uv_program()
    python = wanted_python(uv)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [str(uv), "sync", "--frozen", "--python", python]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        sys.exit(
            "build: `uv sync` failed (its reason stands above). If it found no interpreter: install Python "
            "3.11 or newer, so that `python3.11` is on the PATH, and run make again."
        )


if __name__ == "__main__":
    sync()
