"""The compiling child, in which compiling a ContactPolicy does what its name says."""

import os
import signal
import sys
import threading
from typing import Any

from emailflow_api.compile import compilation
from emailflow_operator.adapters.confined.child import Channel
from emailflow_operator.control.compile_child import work

compile_policy = compilation.compile_policy


def hostile(report: Any, policy: Any, *more: Any) -> Any:
    kind = policy.name.partition("-")[0]
    if kind == "slow":
        while True:
            pass
    if kind == "silent":
        threading.Event().wait()
    if kind == "hungry":
        bytearray(1 << 40)
    if kind == "fatal":
        os.kill(os.getpid(), signal.SIGKILL)
    return compile_policy(report, policy, *more)


compilation.compile_policy = hostile
work(Channel(int(sys.argv[1])))
