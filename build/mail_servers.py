#!/usr/bin/env python3
"""Install Debian's Postfix, Exim and OpenSMTPD, each into a layer of its own, for tests that talk to them.

Prints the folder of the layers. A layer is an overlay over this machine's files: nothing of the machine is
changed. Needs root, unshare, overlays and Debian's apt; where one is missing it says so and ends with 3.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys

from environment import say
from go_toolchain import cache_folder

PACKAGES = ("postfix", "exim4-daemon-light", "opensmtpd")
MISSING = 3
INSTALL = """
set -e
mount -t overlay overlay -o lowerdir=/,upperdir=$LAYER/up,workdir=$LAYER/work $LAYER/merged
cd $LAYER/merged
mount --rbind /proc proc
mount --rbind /dev dev
mount -t tmpfs none run
printf '#!/bin/sh\\nexit 101\\n' > usr/sbin/policy-rc.d
chmod +x usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
chroot . apt-get update -q
exec chroot . apt-get install -y -q --no-install-recommends $PACKAGE
"""


def lacking() -> str:
    """What this machine lacks; empty when it has all."""
    if os.geteuid() != 0:
        return "root"
    return ", ".join(name for name in ("unshare", "apt-get", "chroot", "mount") if shutil.which(name) is None)


def install(package: str) -> None:
    """Make the layer of one package. Ends the process with its output when that fails."""
    layer = cache_folder() / "mail-servers" / package
    if (layer / "complete").exists():
        return
    say(f"installing {package} into a layer (once; half a minute)")
    shutil.rmtree(layer, ignore_errors=True)
    for each in ("up", "work", "merged"):
        (layer / each).mkdir(parents=True)
    answer = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", INSTALL],
        env={**os.environ, "LAYER": str(layer), "PACKAGE": package},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        sys.stderr.write(answer.stdout + answer.stderr)
        say(f"{package} could not be installed into a layer")
        sys.exit(MISSING)
    (layer / "complete").touch()


def main() -> int:
    """Install what is not there yet."""
    if missing := lacking():
        say(f"the mail servers can't be installed here: there is no {missing}")
        return MISSING
    folder = cache_folder() / "mail-servers"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for package in PACKAGES:
            install(package)
    sys.stdout.write(f"{folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
