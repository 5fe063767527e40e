"""The operator's end of a confined process: starts it when it is needed, talks to it, and ends it when nobody
has needed it for a while, since one that is ready to compile takes some 60 MB.

One conversation at a time, in order of arrival. Whose fault an end was, and what follows, is the caller's to
say.
"""

import asyncio
import contextlib
import logging
import mmap
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable

from emailflow_operator.adapters.confined.frames import (
    ANSWER,
    MAX_FRAME,
    PAGE,
    PREFIX,
    QUESTION,
    READY,
    TURN,
    framed,
)
from emailflow_operator.errors import OperatorError

START_WITHIN = 30.0
"""Seconds, on a machine that is busy with everything else."""
TICK = 0.25
"""Seconds between two looks at whose turn it is."""
IDLE = 300.0
"""Seconds without a conversation after which it ends; starting it takes a third of one."""
PATIENCE = 1.0
"""Seconds between asking a process to end and killing it."""

log = logging.getLogger(__name__)


class ProcessUnavailable(OperatorError):
    """The process can't be started, or ends before it has begun with anything."""

    reason = "CompilerUnavailable"


class Ended(Exception):
    """The process ended, or had to be, in the turn of `subject` (empty: nobody's). `in_time` is false when
    the turn took too long."""

    def __init__(self, subject: str, *, in_time: bool) -> None:
        super().__init__(subject)
        self.subject = subject
        self.in_time = in_time


class ConfinedProcess:
    """`converse` as often as you like; `close` in the end."""

    def __init__(self, command: tuple[str, ...], *, patience: float, idle: float = IDLE) -> None:
        """`command` is what Python is given to run; `patience`: seconds of silence in one turn until it is
        killed, for what doesn't use processor time."""
        self._command = command
        self._patience = patience
        self._idle = idle
        self._turns = asyncio.Lock()
        self._alarm: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._page: mmap.mmap | None = None
        self._killed = False

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    async def converse(
        self, frames: AsyncIterator[bytes], answer: Callable[[bytes], bytes] | None = None
    ) -> bytes:
        """Send all frames, answer what the child asks, and return its answer. Raises Ended,
        ProcessUnavailable."""
        async with self._turns:
            if self._alarm is not None:
                self._alarm.cancel()
            try:
                return await self._converse(frames, answer)
            finally:
                self._alarm = asyncio.get_running_loop().call_later(self._idle, self._end)

    async def _converse(self, frames: AsyncIterator[bytes], answer: Callable[[bytes], bytes] | None) -> bytes:
        process = await self._running()
        try:
            return await self._talk(process, frames, answer)
        except (ConnectionError, asyncio.IncompleteReadError):
            await process.wait()
            raise Ended(self._turn()[1], in_time=process.returncode != -signal.SIGXCPU) from None
        except BaseException:
            # Whatever it was, the two don't understand each other any more.
            self.kill()
            raise

    def kill(self) -> None:
        """End it at once; the next conversation has another one."""
        self._killed = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """Ask it to end, kill it when it doesn't, return once it is gone."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._ending is not None:
            await self._ending
        await self._close()

    def _end(self) -> None:
        """Nobody has needed it for a while."""

        async def end() -> None:
            async with self._turns:
                await self._close()

        self._ending = asyncio.create_task(end())

    async def _close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._page is not None:
            self._page.close()
            self._page = None

    async def _talk(
        self,
        process: asyncio.subprocess.Process,
        frames: AsyncIterator[bytes],
        answer: Callable[[bytes], bytes] | None,
    ) -> bytes:
        assert process.stdin is not None  # noqa: S101 - `_running` has made it a pipe
        async for each in frames:
            process.stdin.write(framed(each))
            await process.stdin.drain()
        while True:
            body = await self._read(process)
            if body[:1] == ANSWER:
                return body[1:]
            if body[:1] != QUESTION or answer is None:
                raise ConnectionError("the child does not speak as agreed")
            process.stdin.write(framed(answer(body[1:])))
            await process.stdin.drain()

    async def _read(self, process: asyncio.subprocess.Process) -> bytes:
        """The next frame. Raises Ended when the child's turns don't change for too long."""
        reading = asyncio.ensure_future(_frame_of(process))
        silent, turn = 0.0, self._turn()
        try:
            while not (await asyncio.wait([reading], timeout=TICK))[0]:
                silent = silent + TICK if turn == self._turn() else 0.0
                turn = self._turn()
                if silent >= self._patience:
                    raise Ended(turn[1], in_time=False)
            return reading.result()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None and not self._killed:
            return self._process
        await self._close()
        self._killed = False
        try:
            async with asyncio.timeout(START_WITHIN):
                process = await self._start()
                ready = await _frame_of(process)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.kill()
            raise ProcessUnavailable(
                f"a process to compile in could not start: {type(error).__name__}"
            ) from None
        if ready != READY:
            self.kill()
            raise ProcessUnavailable("a process to compile in does not speak as agreed")
        return process

    async def _start(self) -> asyncio.subprocess.Process:
        with tempfile.TemporaryFile() as shared:
            shared.truncate(PAGE)
            self._page = mmap.mmap(shared.fileno(), PAGE)
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-B", *self._command, str(shared.fileno())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(shared.fileno(),),
                env={},
                cwd="/",
                start_new_session=True,
            )
        log.debug("started %s", " ".join(self._command))
        return self._process

    def _turn(self) -> tuple[int, str]:
        if self._page is None:
            return 0, ""
        count, length = TURN.unpack(self._page[: TURN.size])
        return count, self._page[TURN.size : TURN.size + length].decode(errors="replace")


async def _frame_of(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 - made as a pipe
    [length] = PREFIX.unpack(await process.stdout.readexactly(PREFIX.size))
    if length > MAX_FRAME:
        raise ConnectionError("a frame that is too long")
    return await process.stdout.readexactly(length)
