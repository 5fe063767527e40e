"""The worker process: `python -m emailflow_runtime.adapters.render_worker MEMORY SECONDS`.

Reads orders from standard input and writes replies to standard output until its input ends, which it
does when the runtime is gone, however it went. Imports as little as rendering needs.
"""

import sys
from typing import BinaryIO

from emailflow_runtime.adapters.render_worker.confinement import allow_cpu, confine
from emailflow_runtime.adapters.render_worker.frames import READY, frame_length, framed, read_orders
from emailflow_runtime.adapters.render_worker.workshop import Workshop


def _read(source: BinaryIO) -> bytes | None:
    prefix = source.read(4)
    if len(prefix) < 4:
        return None
    length = frame_length(prefix)
    body = source.read(length)
    return body if len(body) == length else None


def work(source: BinaryIO, sink: BinaryIO, *, seconds: float) -> None:
    """Serve until the input ends. `seconds`: CPU time that one mail may take."""
    workshop = Workshop()
    sink.write(framed(READY))
    sink.flush()
    while (body := _read(source)) is not None:
        orders = read_orders(body)
        allow_cpu(seconds * len(orders.orders))
        for reply in workshop.replies(orders):
            sink.write(framed(reply))
            sink.flush()


def main(arguments: list[str]) -> None:
    """Take the limits on, then work."""
    memory, seconds = int(arguments[0]), float(arguments[1])
    confine(memory)
    work(sys.stdin.buffer, sys.stdout.buffer, seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
