"""The child's end: frames from standard input, answers to standard output, and word of whose turn it is."""

import mmap
import sys

from emailflow_operator.adapters.confined.frames import ANSWER, PAGE, PREFIX, QUESTION, READY, TURN, framed
from emailflow_operator.adapters.confined.limits import allow_cpu, allow_memory, confine


class Channel:
    """Made first thing: from then on the process is confined."""

    def __init__(self, page: int) -> None:
        """`page`: the file descriptor of the shared memory."""
        self._page = mmap.mmap(page, PAGE)
        self._turns = 0
        self.seconds = 0.0
        """Processor time for a turn."""
        confine()
        self._write(READY)

    def read(self) -> bytes | None:
        """The next frame; None when the operator is gone, however it went."""
        prefix = sys.stdin.buffer.read(PREFIX.size)
        if len(prefix) < PREFIX.size:
            return None
        [length] = PREFIX.unpack(prefix)
        body = sys.stdin.buffer.read(length)
        return body if len(body) == length else None

    def answer(self, body: bytes) -> None:
        """What the operator waits for."""
        self._write(ANSWER, body)

    def ask(self, body: bytes) -> bytes:
        """What only the operator knows. Raises EOFError when it is gone."""
        self._write(QUESTION, body)
        if (answer := self.read()) is None:
            raise EOFError
        return answer

    def begin(self, subject: str) -> None:
        """A turn begins: should the process end in it, it was this subject's."""
        allow_cpu(self.seconds)
        self._turns += 1
        text = subject.encode(errors="replace")[: PAGE - TURN.size]
        self._page[: TURN.size + len(text)] = TURN.pack(self._turns, len(text)) + text

    def allow(self, *, memory: int, seconds: float) -> None:
        """From now on: `memory` more bytes for everything, `seconds` of processor time for each turn."""
        self.seconds = seconds
        allow_memory(memory)
        allow_cpu(seconds)

    def _write(self, *parts: bytes) -> None:
        sys.stdout.buffer.write(framed(*parts))
        sys.stdout.buffer.flush()
