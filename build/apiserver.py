#!/usr/bin/env python3
"""Build etcd, kube-apiserver and kubectl for the tests that ask a real API server.

Prints the folder that holds the three. Builds once per go.sum and Go version, from tests/apiserver, into
the user's cache; does nothing where KUBEBUILDER_ASSETS names a folder already. Safe to call from several
processes at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from environment import ROOT, say
from go_toolchain import cache_folder, go_program, go_version

MODULES = ROOT / "tests" / "apiserver"
PROGRESS_SECONDS = 15


class Program(NamedTuple):
    """One program: the folder below tests/apiserver that pins it, and its main package."""

    name: str
    module: str
    package: str


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
)


def pinned(pattern: str, module: str) -> str:
    """What a module's go.mod says, by a pattern with one group."""
    found = re.search(pattern, (MODULES / module / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        sys.exit(f"build: tests/apiserver/{module}/go.mod: expected a line like {pattern}")
    return found.group(1)


def linker_flags(module: str) -> str:
    """The version that a Kubernetes program reports; clients decide by it what the server can do."""
    if module != "kubernetes":
        return "-s -w"
    version = pinned(r"^\tk8s\.io/kubernetes (v[\d.]+)", module)
    major, minor, _ = version.lstrip("v").split(".")
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    flags = (f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())
    return f"-s -w {' '.join(flags)}"


def compile_program(go: Path, program: Program, target: Path) -> None:
    """Build one program, saying now and then how far it is."""
    command = [
        str(go),
        "build",
        "-v",
        "-buildvcs=false",
        "-trimpath",
        "-ldflags",
        linker_flags(program.module),
    ]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    say(f"compiling {program.name} (once; minutes where Go's own cache is cold)")
    started = said = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        [*command, "-o", str(target), program.package],
        cwd=MODULES / program.module,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as build:
        for line in build.stderr or ():
            lines.append(line)
            if time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                say(f"{program.name}: {len(lines)} packages fetched or compiled, {said - started:.0f} s")
    if build.returncode:
        sys.exit(f"build: {program.name} did not compile:\n{''.join(lines[-20:])}")


def build_all(assets: Path, go: Path) -> None:
    """Build what is missing in `assets`. A program appears there whole or not at all."""
    for program in PROGRAMS:
        if (assets / program.name).exists():
            continue
        unfinished = assets / f".{program.name}.unfinished"
        compile_program(go, program, unfinished)
        unfinished.rename(assets / program.name)


def assets_folder() -> Path:
    """The folder with the three programs, built when it has to be."""
    if named := os.environ.get("KUBEBUILDER_ASSETS"):
        return Path(named)
    minimum = max(
        tuple(int(part) for part in pinned(r"^go ([\d.]+)$", program.module).split("."))
        for program in PROGRAMS
    )
    cache = cache_folder() / "apiserver"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        go = go_program(minimum)
        sums = b"".join((MODULES / name / "go.sum").read_bytes() for name in ("etcd", "kubernetes"))
        version = ".".join(str(part) for part in go_version(go))
        assets = cache / f"{hashlib.sha256(sums).hexdigest()[:16]}-go{version}"
        assets.mkdir(exist_ok=True)
        build_all(assets, go)
    return assets


if __name__ == "__main__":
    sys.stdout.write(f"{assets_folder()}\n")
