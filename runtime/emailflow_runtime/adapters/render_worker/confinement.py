"""What a worker may use of the machine. Taken on by the worker itself, before it sees a template."""

import os
import resource

_CPU_GRACE = 1
"""Seconds over what its orders may take; a worker that nobody watches any more ends by itself then."""


def confine(memory: int) -> None:
    """Bound this process: `memory` bytes of address space, no core file, no file written, no child.

    Standard error is closed, since what a crash prints could hold a person's data.
    """
    for kind, limit in (
        (resource.RLIMIT_AS, memory),
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
    """Let this process use so much more CPU time from now on; past it the kernel ends it (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime + seconds) + 1 + _CPU_GRACE
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (_within_hard_limit(resource.RLIMIT_CPU, limit), hard))


def _within_hard_limit(kind: int, limit: int) -> int:
    hard = resource.getrlimit(kind)[1]
    return limit if hard == resource.RLIM_INFINITY else min(limit, hard)
