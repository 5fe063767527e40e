"""One worker process: starts it, carries frames to and from it, ends it. Decides nothing."""

import asyncio
import sys
from collections.abc import Callable
from typing import cast

from emailflow_runtime.adapters.render_worker.frames import READY, InvalidFrame, Reply, Unframer

_STDIN, _STDOUT = 0, 1
_PATIENCE = 1.0
"""Seconds between asking a worker to end and killing it."""


class WorkerProcess(asyncio.SubprocessProtocol):
    """A worker and the pipes to it.

    `on_replies` gets what it answers, `on_ready` is called once it can take orders, `on_end` once, when
    it is gone and all that it had to say has been delivered.
    """

    def __init__(
        self,
        *,
        on_ready: Callable[[], None],
        on_replies: Callable[[list[Reply]], None],
        on_end: Callable[[], None],
    ) -> None:
        self._on_ready = on_ready
        self._on_replies = on_replies
        self._on_end = on_end
        self._unframer = Unframer()
        self._transport: asyncio.SubprocessTransport | None = None
        self._ended = asyncio.get_running_loop().create_future()

    async def start(self, *, memory: int, seconds: float) -> None:
        """Start the process. `memory`: bytes of address space; `seconds`: CPU time a mail.

        Raises OSError when the machine can't. The environment is empty, nothing but installed packages
        can be imported (`-I`), and signals of the terminal reach the runtime only.
        """
        module = __name__.rpartition(".")[0]
        await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            *(sys.executable, "-I", "-B", "-m", module, str(memory), str(seconds)),
            stderr=None,
            env={},
            cwd="/",
            start_new_session=True,
        )

    @property
    def pid(self) -> int | None:
        """The process id; None before it has started."""
        return self._transport.get_pid() if self._transport else None

    def send(self, frame: bytes) -> None:
        """Hand a frame over; without effect when the worker is gone."""
        if self._transport is not None:
            pipe = cast("asyncio.WriteTransport", self._transport.get_pipe_transport(_STDIN))
            pipe.write(frame)

    def kill(self) -> None:
        """End it at once. `on_end` follows."""
        if self._transport is not None and self._transport.get_returncode() is None:
            self._transport.kill()

    async def close(self) -> None:
        """Ask it to end, kill it when it doesn't, return once it is gone."""
        if self._transport is None:
            return
        if (pipe := self._transport.get_pipe_transport(_STDIN)) is not None:
            pipe.close()
        _, running = await asyncio.wait([self._ended], timeout=_PATIENCE)
        if running:
            self.kill()
            await self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's: the process has started."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """asyncio's: the worker has written."""
        if fd != _STDOUT:
            return
        try:
            replies = list(self._unframer.feed(data))
        except InvalidFrame:
            self.kill()
            return
        if replies and replies[0] == READY:
            del replies[0]
            self._on_ready()
        if replies:
            self._on_replies(replies)

    def connection_lost(self, _exc: Exception | None) -> None:
        """asyncio's: the process is gone and its pipes are empty."""
        if self._transport is not None:
            self._transport.close()
        if not self._ended.done():
            self._ended.set_result(None)
            self._on_end()
