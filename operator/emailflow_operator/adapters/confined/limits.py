"""What a child may use of the machine. Taken on by the child itself, before it sees what an author wrote."""

import os
import resource
from pathlib import Path

_CPU_GRACE = 1
"""Seconds that the kernel's counting in whole ones may be off."""
_STATM = Path("/proc/self/statm")
_NO_STATM = 256 << 20
"""Bytes that are taken as used where the machine does not say."""


def confine() -> None:
    """Bound this process for good: no core file, no file written, no child, few open files.

    Standard error is closed, since what a crash prints could hold what somebody wrote.
    """
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_NPROC, 0),
    ):
        bound = _within_hard_limit(kind, limit)
        resource.setrlimit(kind, (bound, bound))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)


def allow_cpu(seconds: float) -> None:
    """Let this process use so much more processor time; past it the kernel ends it (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + _CPU_GRACE
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (_within_hard_limit(resource.RLIMIT_CPU, limit), hard))


def allow_memory(more: int) -> None:
    """Let this process have so many more bytes of address space than it has now; MemoryError past it."""
    try:
        used = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    except OSError:
        used = _NO_STATM
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (_within_hard_limit(resource.RLIMIT_AS, used + more), hard))


def _within_hard_limit(kind: int, limit: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)
